//! How many threads candle's own operations use.

use std::{env, fs};

/// One thread for candle's operations, unless the environment names a number. Products and norms have rayon's threads; candle's
/// helper threads serve additions alone and wait for them by spinning, which takes the cores away: reading is three tenths
/// slower with them (`pipeline bench`, two cores; not measured on four). Does nothing where the program has other threads already, or
/// where Linux does not say so.
pub fn one() {
    const NAME: &str = "CANDLE_NUM_THREADS";
    let alone = fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1);
    if alone && env::var_os(NAME).is_none() {
        // SAFETY: no other thread reads the environment meanwhile, since there is none.
        #[allow(unsafe_code)]
        unsafe {
            env::set_var(NAME, "1");
        }
    }
}
