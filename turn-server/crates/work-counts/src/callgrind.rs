//! Instructions in user space and heap allocations of a process that callgrind runs.

use crate::run;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// What asks the heap for memory. Every server's own allocation ends here.
const ALLOCATORS: [&str; 6] = [
    "malloc",
    "calloc",
    "realloc",
    "posix_memalign",
    "aligned_alloc",
    "memalign",
];

/// When it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// From its beginning to its end.
    Throughout,
    /// Between two calls of [`switch`]; outside them, the process is a few times as slow as it is by itself, and not fifty.
    Switched,
}

/// The words in front of a program's own that have it counted, into a file that is written when the program ends.
pub fn runner(profile: &Path, when: When) -> Vec<String> {
    let at_start = match when {
        When::Throughout => "yes",
        When::Switched => "no",
    };
    vec![
        "valgrind".to_owned(),
        "--quiet".to_owned(),
        "--tool=callgrind".to_owned(),
        format!("--instr-atstart={at_start}"),
        format!("--callgrind-out-file={}", profile.display()),
    ]
}

/// Has a process that callgrind runs be counted from here on, or not any more.
///
/// # Errors
/// There is no such process.
pub fn switch(pid: u32, on: bool) -> Result<()> {
    let on = if on { "--instr=on" } else { "--instr=off" };
    run("callgrind_control", &[on, &pid.to_string()])
}

/// What was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Instructions in user space.
    pub instructions: u64,
    /// Calls of an allocating function.
    pub heap_allocations: u64,
}

impl Work {
    /// Reads a profile and removes it.
    ///
    /// # Errors
    /// callgrind wrote none, or one without a sum.
    pub fn take(profile: &Path) -> Result<Work> {
        let text = fs::read_to_string(profile)
            .with_context(|| format!("callgrind wrote no {}", profile.display()))?;
        fs::remove_file(profile)?;
        // The summary above it has the totals of a program that was counted throughout, and 0 of others.
        let total = text.lines().find_map(|line| line.strip_prefix("totals:"));
        let total = total.context("the profile has no total")?;
        Ok(Work {
            instructions: total.trim().parse().context("a total is no number")?,
            heap_allocations: allocations(&text),
        })
    }
}

/// How often allocating functions were called: `calls=` lines behind their names. A name stands behind its number where it
/// occurs first, and the number alone afterwards. One allocator's call of another counts once.
fn allocations(profile: &str) -> u64 {
    let mut numbers = Vec::new();
    let (mut caller, mut callee) = (false, false);
    let mut count = 0;
    let mut allocates = |word: &str| {
        let (number, name) = word.split_once(' ').unwrap_or((word, ""));
        // Versions and clones of a function stand behind its name.
        let name = name.split(['@', '\'']).next().unwrap_or_default();
        if ALLOCATORS.contains(&name) {
            numbers.push(number.to_owned());
        }
        numbers.iter().any(|known| known == number)
    };
    for line in profile.lines() {
        if let Some(word) = line.strip_prefix("fn=") {
            caller = allocates(word);
        } else if let Some(word) = line.strip_prefix("cfn=") {
            callee = allocates(word);
        } else if let Some(word) = line.strip_prefix("calls=")
            && callee
            && !caller
        {
            let calls = word.split_whitespace().next();
            count += calls
                .and_then(|calls| calls.parse::<u64>().ok())
                .unwrap_or(0);
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::allocations;

    #[test]
    fn calls_of_allocators_are_counted_by_name_and_by_number() {
        let profile = "fn=(1) main\ncfn=(2) malloc\ncalls=3 0\n5 100\ncfn=(3) free\ncalls=3 0\n\
                       fn=(4) other\ncfn=(2)\ncalls=4 0\n6 7\nfn=(5) realloc\ncfn=(2)\ncalls=9 0\n";
        assert_eq!(allocations(profile), 7);
    }
}
