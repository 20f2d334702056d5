# What a relayed packet costs in instructions, system calls and heap allocations, held by tests/counts.txt.
# budget: 60
# counts: itself
turnctl=target/release/turnctl
rows=(--row=counts --row=counts-back --row=counts-send --row=counts-bursts --row=counts-tcp)
"$turnctl" bench "${rows[@]}" --servers=ours --hold=tests/counts.txt --wait=120
