//! AdamW (Loshchilov and Hutter 2017, arXiv 1711.05101), whose state can be stored: candle's own keeps it to itself, and a run
//! that was killed must go on to the same result.
//!
//! Turns summed gradients into new values. Does NOT know what the variables are.

use candle_core::{Device, Result, Tensor, Var, backprop::GradStore};
use rayon::prelude::*;
use std::collections::HashMap;

/// Decay of the two running means, and what keeps the division safe: the paper's values.
const DECAY: (f32, f32) = (0.9, 0.999);
const EPSILON: f32 = 1e-8;

/// One variable with its state.
struct Part {
    name: String,
    variable: Var,
    gradient: Vec<f32>,
    mean: Vec<f32>,
    square: Vec<f32>,
}

/// The optimizer of some variables.
pub struct Adam {
    parts: Vec<Part>,
    weight_decay: f32,
    /// Largest norm of all gradients together.
    clip: f32,
    /// Steps done.
    pub steps: usize,
}

/// A gradient that nothing can be learnt from.
#[derive(Debug, thiserror::Error)]
#[error("the gradient of {name} is {fault}, so nothing can be learnt from it")]
pub struct Sick {
    /// The variable.
    name: String,
    /// What is wrong with it.
    fault: &'static str,
}

impl Adam {
    /// Begins with zero state.
    pub fn new(variables: Vec<(String, Var)>, weight_decay: f64, clip: f64) -> Self {
        let part = |(name, variable): (String, Var)| {
            let zeros = vec![0f32; variable.elem_count()];
            Part { name, variable, gradient: zeros.clone(), mean: zeros.clone(), square: zeros }
        };
        let parts = variables.into_iter().map(part).collect();
        Self { parts, weight_decay: weight_decay as f32, clip: clip as f32, steps: 0 }
    }

    /// The gradients of all variables, in their order.
    ///
    /// # Errors
    /// A variable without a gradient.
    pub fn gradients(&self, gradients: &GradStore) -> Result<Vec<Vec<f32>>> {
        let of = |part: &Part| match gradients.get(part.variable.as_tensor()) {
            Some(gradient) => gradient.flatten_all()?.to_vec1(),
            None => candle_core::bail!("{} takes no part in the loss", part.name),
        };
        self.parts.iter().map(of).collect()
    }

    /// Adds the [`gradients`](Self::gradients) of one example, times `weight`.
    pub fn add(&mut self, gradients: &[Vec<f32>], weight: f32) {
        for (part, values) in self.parts.iter_mut().zip(gradients) {
            part.gradient.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
        }
    }

    /// Whether what was added can be learnt from. In the first step A's gradients are zero by construction, since B is.
    ///
    /// # Errors
    /// [`Sick`], naming the first variable whose gradient is zero or not finite.
    pub fn health(&self) -> std::result::Result<(), Sick> {
        for part in &self.parts {
            let sum: f32 = part.gradient.iter().map(|value| value.abs()).sum();
            let fault = match sum {
                sum if !sum.is_finite() => "not finite",
                0.0 if self.steps > 0 => "zero",
                _ => continue,
            };
            return Err(Sick { name: part.name.clone(), fault });
        }
        Ok(())
    }

    /// Moves the variables by what was added, and forgets it. Returns the gradients' norm before clipping.
    ///
    /// # Errors
    /// None but candle's own.
    pub fn step(&mut self, rate: f64) -> Result<f32> {
        self.steps += 1;
        let norm = self.parts.iter().flat_map(|part| &part.gradient).map(|value| value * value).sum::<f32>().sqrt();
        let shrink = if norm > self.clip { self.clip / norm } else { 1.0 };
        let (steps, rate, weight_decay) = (self.steps as i32, rate as f32, self.weight_decay);
        let correction = (1.0 - DECAY.0.powi(steps), 1.0 - DECAY.1.powi(steps));
        self.parts.par_iter_mut().try_for_each(|part| {
            let mut values: Vec<f32> = part.variable.flatten_all()?.to_vec1()?;
            for (at, value) in values.iter_mut().enumerate() {
                let gradient = std::mem::take(&mut part.gradient[at]) * shrink;
                part.mean[at] += (1.0 - DECAY.0) * (gradient - part.mean[at]);
                part.square[at] += (1.0 - DECAY.1) * (gradient * gradient - part.square[at]);
                let (mean, square) = (part.mean[at] / correction.0, part.square[at] / correction.1);
                *value -= rate * (mean / (square.sqrt() + EPSILON) + weight_decay * *value);
            }
            part.variable.set(&Tensor::from_vec(values, part.variable.shape(), part.variable.device())?)
        })?;
        Ok(norm)
    }

    /// The variables' values by name.
    pub fn values(&self) -> HashMap<String, Tensor> {
        self.parts.iter().map(|part| (part.name.clone(), part.variable.as_tensor().clone())).collect()
    }

    /// Everything that is needed to go on: values and running means.
    ///
    /// # Errors
    /// None but candle's own.
    pub fn state(&self) -> Result<HashMap<String, Tensor>> {
        let mut state = HashMap::new();
        for part in &self.parts {
            let tensor = |values: &Vec<f32>| Tensor::from_slice(values, part.variable.shape(), &Device::Cpu);
            state.insert(format!("mean.{}", part.name), tensor(&part.mean)?);
            state.insert(format!("square.{}", part.name), tensor(&part.square)?);
            state.insert(format!("value.{}", part.name), part.variable.as_tensor().clone());
        }
        Ok(state)
    }

    /// Goes on from [`state`](Self::state) after `steps` steps.
    ///
    /// # Errors
    /// A variable that it lacks.
    pub fn restore(&mut self, state: &HashMap<String, Tensor>, steps: usize) -> Result<()> {
        for part in &mut self.parts {
            let values = |kind: &str| match state.get(&format!("{kind}.{}", part.name)) {
                Some(tensor) => tensor.flatten_all()?.to_vec1(),
                None => candle_core::bail!("the checkpoint of the training has no {kind} of {}", part.name),
            };
            let value: Vec<f32> = values("value")?;
            (part.mean, part.square) = (values("mean")?, values("square")?);
            part.variable.set(&Tensor::from_vec(value, part.variable.shape(), part.variable.device())?)?;
        }
        self.steps = steps;
        Ok(())
    }
}
