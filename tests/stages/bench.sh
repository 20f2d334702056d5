# The bench runs against every contender, for a moment each: it works, its numbers mean nothing.
# budget: 60
# counts: itself
target/release/turnctl bench --smoke --wait=120
