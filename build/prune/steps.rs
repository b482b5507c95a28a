//! The steps by which a model loses layers, then neurons: each is measured, and one that costs too much is undone.
//!
//! Turns a whole f32 model and the recipe into a smaller model and the record of how it came about. Does NOT read or write
//! files.
//!
//! Every step starts from the layers as they were before the first step of its group, with what was seen of them then.
//! From step to step errors would add up, and a refit would be made for neurons that were refitted already.

use tomato_assistant::model::gemma3::Gemma3;

use super::{
    super::{
        dense::Dense,
        ffn::{self, Score},
        recipe,
    },
    PruneError,
    gate::Gate,
    layers,
    plan::{Ffn, Layers},
    record::{Group, Neurons, Record, Step, Worth},
    sensitivity,
    smaller::Smaller,
    way::{Seen, widths},
    yardstick::Yardstick,
};

/// What the refit of a layer costs, in tokens read: two seconds or so.
const REFIT: usize = 1000;

/// Where somebody looks on.
pub struct Progress<'a> {
    /// Gets all work that is to be done, counted in tokens read.
    pub length: &'a dyn Fn(usize),
    /// Gets work that was done.
    pub done: &'a dyn Fn(usize),
    /// Gets each step once it is judged.
    pub step: &'a dyn Fn(&Step),
}

/// Takes from `dense` what `table` asks for, step by step, measured by `yardstick`.
///
/// # Errors
/// [`PruneError`]: the computation fails.
pub fn run(
    table: &recipe::Prune,
    dense: Dense,
    yardstick: &Yardstick,
    progress: &Progress,
) -> Result<Smaller, PruneError> {
    let depth = dense.model.layers.len();
    (progress.length)(work(table, depth, yardstick));
    let record = Record::new(yardstick.measure(&dense, progress.done)?);
    let neurons = widths(&dense.model)?.iter().sum();
    let mut steps =
        Steps { yardstick, progress, neurons, good: dense.model.clone(), removed: Vec::new(), record, dense };
    if let Some(table) = &table.layers {
        steps.layers(table)?;
    }
    if let Some(table) = &table.ffn {
        steps.ffn(table)?;
    }
    let layers = (0..depth).filter(|place| !steps.removed.contains(place)).collect();
    Ok(Smaller { model: steps.good, layers, record: steps.record })
}

/// All that will be done, in tokens read.
fn work(table: &recipe::Prune, depth: usize, yardstick: &Yardstick) -> usize {
    let (calibration, measure) = (yardstick.calibration_tokens(), yardstick.work());
    let removed = table.layers.as_ref().map_or(0, |table| table.remove);
    let layers = table.layers.as_ref().map_or(0, |table| (depth + 1) * calibration + table.remove * measure);
    let depth = depth - removed;
    let ffn = table
        .ffn
        .as_ref()
        .map_or(0, |table| (depth + 2) * calibration + table.steps().len() * (measure + depth * REFIT));
    measure + layers + ffn
}

struct Steps<'a> {
    yardstick: &'a Yardstick,
    progress: &'a Progress<'a>,
    /// Of the unpruned model.
    neurons: usize,
    /// The last model that passed.
    good: Gemma3,
    /// Layers that it lacks.
    removed: Vec<usize>,
    record: Record,
    /// Holds whichever model is being measured.
    dense: Dense,
}

impl Steps<'_> {
    /// Takes out one layer after the other, the most dispensable first.
    fn layers(&mut self, table: &Layers) -> Result<(), PruneError> {
        let whole = self.good.clone();
        let added = self.added(|model, layer| layers::without(model, &[layer]))?;
        let order = sensitivity::order(&added);
        self.record.layers_gate = Some(table.gate);
        for count in 1..=table.remove {
            let mut removed = order[..count].to_vec();
            removed.sort_unstable();
            let model = layers::without(&whole, &removed)?;
            if !self.passes(Group::Layers, 1.0, removed, model, &table.gate)? {
                break;
            }
        }
        let worth = |(layer, added)| Worth { layer, added, removed: self.removed.contains(&layer) };
        self.record.layers = added.into_iter().enumerate().map(worth).collect();
        Ok(())
    }

    /// Takes out more and more neurons.
    fn ffn(&mut self, table: &Ffn) -> Result<(), PruneError> {
        let whole = self.good.clone();
        let windows = &self.yardstick.calibration;
        let mean = self.yardstick.calibration_tokens() / windows.len().max(1);
        let activities = ffn::observe(&whole, windows, || (self.progress.done)(mean))?;
        let seen = Seen { activities, added: self.added(ffn::without)? };
        self.record.ffn_gate = Some(table.gate);
        let way = table.way();
        for keep in table.steps() {
            let model = way.narrowed(&whole, &seen, keep, &|| (self.progress.done)(REFIT))?;
            if !self.passes(Group::Ffn, keep, self.removed.clone(), model, &table.gate)? {
                break;
            }
        }
        self.record.ffn = self.neurons(&whole, &seen, table)?;
        Ok(())
    }

    /// Loss added without a part of one layer after the other of the last good model.
    fn added(
        &mut self,
        without: impl Fn(&Gemma3, usize) -> candle_core::Result<Gemma3>,
    ) -> Result<Vec<f64>, PruneError> {
        self.dense.model = self.good.clone();
        let tokens = self.yardstick.calibration_tokens();
        let each = || (self.progress.done)(tokens);
        Ok(sensitivity::added(&mut self.dense, &self.yardstick.calibration, without, &each)?)
    }

    /// Measures and judges `model`, which becomes the last good one or is forgotten.
    fn passes(
        &mut self,
        group: Group,
        keep: f64,
        removed: Vec<usize>,
        model: Gemma3,
        gate: &Gate,
    ) -> Result<bool, PruneError> {
        self.dense.model = model.clone();
        let figures = self.yardstick.measure(&self.dense, self.progress.done)?;
        let (widths, unpruned) = (widths(&model)?, &self.record.unpruned);
        let kept = widths.iter().sum::<usize>() as f64 / self.neurons as f64;
        let (ratios, faults) = (figures.ratios(unpruned), gate.faults(unpruned, &figures));
        let step = Step { group, removed, keep, kept, widths, ratios, figures, faults };
        (self.progress.step)(&step);
        let passed = step.passed();
        if passed {
            (self.good, self.removed) = (model, step.removed.clone());
        }
        self.record.add(step);
        Ok(passed)
    }

    /// What the layers of `whole` were found to be, and how wide they are in the end.
    fn neurons(&self, whole: &Gemma3, seen: &Seen, table: &Ffn) -> Result<Vec<Neurons>, PruneError> {
        let open = table.protect.open(&seen.added);
        let places: Vec<usize> = (0..).filter(|place| !self.removed.contains(place)).take(whole.layers.len()).collect();
        let widths = widths(&self.good)?;
        let row = |at: usize| {
            let scores = |score| ffn::scores(&whole.layers[at], &seen.activities[at], score);
            let (own, activity) = (scores(table.score)?, scores(Score::Activity)?);
            let strongest = ffn::best(&activity, 1).first().map_or(0.0, |best| own[*best as usize]);
            let below = own.iter().filter(|score| **score < strongest).count() as f64;
            let mut sorted = own;
            sorted.sort_by(f32::total_cmp);
            let last = sorted.len().saturating_sub(1);
            Ok(Neurons {
                layer: places[at],
                added: seen.added[at],
                protected: !open.contains(&at),
                width: widths[at],
                scores: [sorted[0], sorted[last / 2], sorted[last]],
                strongest: below / last.max(1) as f64,
            })
        };
        (0..whole.layers.len()).map(row).collect()
    }
}
