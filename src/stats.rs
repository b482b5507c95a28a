//! What one answer cost: times, tokens and memory. Reads `/proc/self/status`; knows nothing of models or screens.

use std::time::Duration;

/// Cost of one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stats {
    /// From the question to the first words. Zero when there were none.
    pub time_to_first_token: Duration,
    /// What the model took to read the question and the prompt; of the former, where there were words.
    pub reading: Duration,
    /// From the question to the last word.
    pub total: Duration,
    /// Tokens read: those of the prompt, up to where it was stopped.
    pub prompt_tokens: usize,
    /// Tokens generated.
    pub tokens: usize,
    /// Memory in use when the answer was done.
    pub memory: Memory,
}

impl Stats {
    /// Prompt tokens read in a second; zero when the model read none.
    pub fn read_per_second(&self) -> f64 {
        let seconds = self.reading.as_secs_f64();
        if seconds > 0.0 { self.prompt_tokens as f64 / seconds } else { 0.0 }
    }

    /// Generated tokens per second, after the first token; zero when fewer than two were generated.
    pub fn tokens_per_second(&self) -> f64 {
        let decode = self.total.saturating_sub(self.time_to_first_token).as_secs_f64();
        if self.tokens < 2 || decode <= 0.0 { 0.0 } else { (self.tokens - 1) as f64 / decode }
    }
}

/// Resident memory of this process, in MiB.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Memory {
    /// Resident now (`VmRSS`).
    pub rss_mib: f64,
    /// Highest ever (`VmHWM`).
    pub peak_mib: f64,
}

impl Memory {
    /// Reads the kernel's own figures. Zeros where there is no `/proc` (a MacBook build host).
    pub fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("");
            let kib: f64 = line.trim_matches([':', '\t', ' ', 'k', 'B']).parse().unwrap_or(0.0);
            kib / 1024.0
        };
        Self { rss_mib: field("VmRSS"), peak_mib: field("VmHWM") }
    }
}
