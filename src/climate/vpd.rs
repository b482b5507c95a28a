//! Water vapour in air: saturation pressure, vapour pressure deficit, dew point.
//!
//! Tetens' formula (1930) as printed in FAO Irrigation and Drainage Paper 56, equation 11: within 0.1 % of tabled values
//! from 0 to 40 °C. Does NOT know leaf temperature: the deficit is that of the air.

/// Saturation vapour pressure over water in kPa at `celsius`.
pub fn saturation_pressure(celsius: f32) -> f32 {
    0.6108 * (17.27 * celsius / (celsius + 237.3)).exp()
}

/// Vapour pressure deficit of the air in kPa; `humidity` in % (0 to 100).
pub fn deficit(celsius: f32, humidity: f32) -> f32 {
    saturation_pressure(celsius) * (1.0 - humidity / 100.0)
}

/// Temperature in °C at which this air starts to wet surfaces; none for air without any water.
pub fn dew_point(celsius: f32, humidity: f32) -> Option<f32> {
    let pressure = saturation_pressure(celsius) * humidity / 100.0;
    // Equation 11 solved for the temperature.
    let x = (pressure / 0.6108).ln();
    (pressure > 0.0).then(|| 237.3 * x / (17.27 - x))
}
