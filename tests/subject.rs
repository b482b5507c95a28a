//! The plane between tomato growing and everything else: learnt as logistic regression is, whatever the numbers of both sides.

use crate::stages::subject::learn;
use tomato_assistant::knowledge::{subject::Subject, vectors::VectorsError};

/// `count` vectors around (`x`, `y`), a little apart from each other.
fn around(x: f32, y: f32, count: usize) -> Vec<Vec<f32>> {
    let part = |number: usize| (number as f32 / count as f32 - 0.5) / 5.0;
    (0..count).map(|number| vec![x + part(number), y - part(number) / 3.0]).collect()
}

/// What logistic regression makes small: the mean over both sides of -ln of the right side's share, and the ridge.
fn cost(subject: &Subject, ridge: f64, about: &[Vec<f32>], others: &[Vec<f32>]) -> f64 {
    let mean = |rows: &[Vec<f32>], sign: f32| {
        let lost = rows.iter().map(|row| f64::from(1.0 + (-sign * subject.log_odds(row)).exp()).ln());
        lost.sum::<f64>() / rows.len() as f64
    };
    let weights = subject.values().iter().rev().skip(1).map(|&weight| f64::from(weight).powi(2)).sum::<f64>();
    (mean(about, 1.0) + mean(others, -1.0)) / 2.0 + ridge * weights
}

#[test]
fn the_plane_is_the_best_there_is_and_no_side_wins_by_numbers() {
    let (about, others) = (around(0.8, 0.6, 300), around(-0.1, 0.9, 7));
    let subject = learn(0.01, &about, &others).unwrap();
    assert!(about.iter().all(|row| subject.log_odds(row) > 0.0), "{subject:?}");
    assert!(others.iter().all(|row| subject.log_odds(row) < 0.0), "{subject:?}");
    assert_eq!(learn(0.01, &about, &others).unwrap(), subject);
    let least = cost(&subject, 0.01, &about, &others);
    for place in 0..3 {
        for step in [-0.1, 0.1] {
            let mut values = subject.values().to_vec();
            values[place] += step;
            let other = Subject::new(2, values).unwrap();
            assert!(cost(&other, 0.01, &about, &others) > least, "{place} {step}");
        }
    }
    // The same texts a hundred times over change nothing.
    let many: Vec<Vec<f32>> = (0..100).flat_map(|_| others.clone()).collect();
    let again = learn(0.01, &about, &many).unwrap();
    assert!(again.values().iter().zip(subject.values()).all(|(a, b)| (a - b).abs() < 1e-3), "{again:?}");
}

#[test]
fn what_cannot_be_told_apart_is_refused() {
    let some = around(0.8, 0.6, 3);
    for (about, others) in [(&some[..], &[][..]), (&[], &some)] {
        assert!(learn(0.01, about, others).unwrap_err().to_string().contains("nothing to tell the subject by"));
    }
    assert!(learn(0.01, &[vec![f32::NAN, 1.0]], &some).is_err());
    assert!(matches!(Subject::new(2, vec![1.0; 2]), Err(VectorsError::Shape("subject"))));
    assert!(matches!(Subject::new(1, vec![1.0, f32::INFINITY]), Err(VectorsError::NotFinite("subject"))));
    assert_eq!(Subject::even(2).log_odds(&[3.0, 4.0]), 0.0);
}
