# The whole comparison; its table belongs in docs/.
# budget: 3600
# counts: itself
target/release/turnctl bench | sed 's/^/say: /'
