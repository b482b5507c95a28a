//! The planes between what is refused and what is not: learnt as logistic regression is, whatever the numbers of its sides.

use crate::stages::planes::learn;
use tomato_assistant::knowledge::{
    refusal::Planes,
    vectors::VectorsError,
};

/// `count` vectors around (`x`, `y`), a little apart from each other.
fn around(x: f32, y: f32, count: usize) -> Vec<Vec<f32>> {
    let part = |number: usize| (number as f32 / count as f32 - 0.5) / 5.0;
    (0..count).map(|number| vec![x + part(number), y - part(number) / 3.0]).collect()
}

fn log_odds(plane: &[f32], row: &[f32]) -> f32 {
    plane[0] * row[0] + plane[1] * row[1] + plane[2]
}

/// What logistic regression makes small: the mean over both sides of -ln of the right side's share, where each of `others` has an
/// equal part of its side, and the ridge.
fn cost(plane: &[f32], ridge: f64, refused: &[Vec<f32>], others: &[&[Vec<f32>]]) -> f64 {
    let mean = |rows: &[Vec<f32>], sign: f32| {
        let lost = rows.iter().map(|row| f64::from(1.0 + (-sign * log_odds(plane, row)).exp()).ln());
        lost.sum::<f64>() / rows.len() as f64
    };
    let weights = plane[..2].iter().map(|&weight| f64::from(weight).powi(2)).sum::<f64>();
    let other_side = others.iter().map(|rows| mean(rows, -1.0)).sum::<f64>() / others.len() as f64;
    (mean(refused, 1.0) + other_side) / 2.0 + ridge * weights
}

#[test]
fn a_plane_is_the_best_there_is_and_no_side_or_kind_wins_by_numbers() {
    let (refused, many, few) = (around(0.8, 0.6, 30), around(-0.1, 0.9, 300), around(0.2, -0.4, 7));
    let others = [&many[..], &few];
    let plane = learn(0.01, &refused, &others).unwrap();
    assert!(refused.iter().all(|row| log_odds(&plane, row) > 0.0), "{plane:?}");
    assert!(others.iter().copied().flatten().all(|row| log_odds(&plane, row) < 0.0), "{plane:?}");
    assert_eq!(learn(0.01, &refused, &others).unwrap(), plane);
    let least = cost(&plane, 0.01, &refused, &others);
    for place in 0..3 {
        for step in [-0.1, 0.1] {
            let mut other = plane.clone();
            other[place] += step;
            assert!(cost(&other, 0.01, &refused, &others) > least, "{place} {step}");
        }
    }
    // The same texts a hundred times over change nothing.
    let again: Vec<Vec<f32>> = (0..100).flat_map(|_| few.clone()).collect();
    let again = learn(0.01, &refused, &[&many, &again]).unwrap();
    assert!(again.iter().zip(&plane).all(|(a, b)| (a - b).abs() < 1e-3), "{again:?}");
}

#[test]
fn each_kind_has_its_own_plane() {
    let planes = Planes::new(2, vec![1.0, 0.0, 0.5, 0.0, 2.0, 0.0, 0.0, 0.0, -3.0, 1.0, 1.0, 1.0]).unwrap();
    assert_eq!(planes.log_odds(&[3.0, 4.0]), [3.5, 8.0, -3.0, 8.0]);
    assert_eq!(Planes::even(2).log_odds(&[3.0, 4.0]), [0.0; 4]);
    assert!(matches!(Planes::new(2, vec![1.0; 9]), Err(VectorsError::Shape("planes"))));
    assert!(matches!(Planes::new(0, vec![1.0, f32::INFINITY, 1.0, 1.0]), Err(VectorsError::NotFinite("planes"))));
}

#[test]
fn what_cannot_be_told_apart_is_refused() {
    let some = around(0.8, 0.6, 3);
    for (refused, others) in [(&some[..], &[&[][..]][..]), (&[], &[&some]), (&some, &[]), (&some, &[&some, &[]])] {
        assert!(learn(0.01, refused, others).unwrap_err().to_string().contains("nothing to tell"));
    }
    assert!(learn(0.01, &[vec![f32::NAN, 1.0]], &[&some]).is_err());
}
