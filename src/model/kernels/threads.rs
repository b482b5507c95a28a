//! How many threads candle's own operations use.

use std::env;

/// One thread for candle's operations, unless the environment names a number. For work that gives each core texts or examples of
/// its own: candle's helper threads, which wait for theirs by spinning, would take two fifths of the time away from it. One answer,
/// which all cores work on, is a tenth faster with them. To be called first in a program, before there are other threads.
pub fn one() {
    const NAME: &str = "CANDLE_NUM_THREADS";
    if env::var_os(NAME).is_none() {
        // SAFETY: by the contract above no other thread reads the environment meanwhile.
        #[allow(unsafe_code)]
        unsafe {
            env::set_var(NAME, "1");
        }
    }
}
