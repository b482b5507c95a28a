//! Vectors as they are stored: they come back as they were, belong to their entries, and a faulty part is named.

use safetensors::{
    Dtype,
    tensor::{TensorView, serialize},
};
use tomato_assistant::knowledge::{
    Category,
    projection::Projection,
    refusal::{Kinds, Planes},
    vectors::{Vectors, VectorsError, texts},
};

use crate::{
    retrieval::{entry, parse},
    stages::embed::apart,
};

fn unit(vector: &[f32]) -> Vec<f32> {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.iter().map(|value| value / length).collect()
}

#[test]
fn vectors_come_back_as_they_were_stored_and_foreign_ones_are_refused() {
    let knowledge = parse(&[entry("one", Category::Troubleshooting, "Why?")]).unwrap();
    let count = texts(&knowledge.entries()[0]).len();
    let rows: Vec<Vec<f32>> = (0..count).map(|row| unit(&[0.6, -0.8, row as f32 / 10.0])).collect();
    let examples = [vec![unit(&[0.0, 1.0, 0.1])], vec![], vec![unit(&[1.0, 0.0, 0.2]), unit(&[0.0, 0.3, 1.0])], vec![]];
    let kinds = Kinds { planes: Planes::even(3), examples };
    let vectors = Vectors::quantize(&rows, Projection::identity(3), &kinds);
    let bytes = vectors.to_bytes().unwrap();
    let back = Vectors::parse(&bytes, knowledge.entries()).unwrap();
    assert_eq!(back, vectors);
    assert_eq!((back.len(), back.width(), back.is_empty()), (count, 3, false));
    for (row, original) in rows.iter().enumerate() {
        assert!(back.row(row).iter().zip(original).all(|(a, b)| (a - b).abs() < 0.005), "{row}");
    }
    assert!((back.cosines(&[0.6, -0.8, 0.0], 0..1)[0] - 1.0).abs() < 0.01);
    // The examples stand after them, kind by kind.
    assert_eq!(back.examples(), [count..count + 1, count + 1..count + 1, count + 1..count + 3, count + 3..count + 3]);
    let near = back.cosines(&unit(&[0.0, 0.3, 1.0]), count..count + 3);
    assert!(near[2] > 0.99 && near[0] < 0.5 && near[1] < 0.5, "{near:?}");
    for (ours, original) in back.kinds().examples.iter().flatten().zip(kinds.examples.iter().flatten()) {
        assert!(ours.iter().zip(original).all(|(a, b)| (a - b).abs() < 0.005));
    }
    let two =
        parse(&[entry("one", Category::Troubleshooting, "Why?"), entry("two", Category::Troubleshooting, "How?")]);
    let error = Vectors::parse(&bytes, two.unwrap().entries()).unwrap_err();
    assert!(
        matches!(error, VectorsError::Count { found, expected } if found == count + 3 && expected == 2 * count + 3)
    );
    for broken in [&bytes[..bytes.len() - 1], b"", b"{}"] {
        assert!(matches!(Vectors::parse(broken, knowledge.entries()), Err(VectorsError::Format(_))));
    }
}

#[test]
fn the_identity_changes_no_vector_and_a_projection_moves_both_sides() {
    let rows = [unit(&[1.0, 2.0, -0.5]), unit(&[-0.3, 0.1, 0.9])];
    let identity = Projection::identity(3);
    for row in &rows {
        assert!(identity.apply(row).iter().zip(row).all(|(a, b)| (a - b).abs() < 1e-6));
    }
    assert_eq!(identity.apply(&[0.0; 3]), [0.0; 3]);
    // Columns turned round by one place, and the first axis flattened.
    let turned = Projection::new(3, vec![0.0, 0.01, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]).unwrap();
    let moved = turned.apply(&rows[0]);
    assert!(moved[0] < 0.0 && moved[1].abs() < 0.01 && moved[2] > 0.9, "{moved:?}");
    let cosines = Vectors::quantize(&rows, turned.clone(), &Kinds::none(3)).cosines(&rows[1], 0..rows.len());
    let expected: f32 = moved.iter().zip(turned.apply(&rows[1])).map(|(a, b)| a * b).sum();
    assert!((cosines[0] - expected).abs() < 0.01 && (cosines[1] - 1.0).abs() < 0.01, "{cosines:?}, {expected}");
}

#[test]
fn a_projection_is_used_as_it_is_stored() {
    // bf16 keeps eight bits: 1 + 1/256 lies between 1 and 1 + 1/128, as near to both, and goes to the even one.
    let fine = Projection::new(2, vec![1.0 + 1.0 / 256.0, 1.0 + 3.0 / 256.0, -0.3, 0.0]).unwrap();
    let rounded = fine.rounded();
    assert_eq!(rounded.values()[..2], [1.0, 1.0 + 1.0 / 64.0]);
    assert!((rounded.values()[2] + 0.3).abs() < 0.3 / 256.0 && rounded.rounded() == rounded);
    let vectors = Vectors::quantize(&[vec![0.6, 0.8]], fine, &Kinds::none(2));
    assert_eq!(vectors.projection(), &rounded);
}

#[test]
fn an_example_too_near_to_one_that_is_kept_is_left_out() {
    // The projection leaves out the last axis.
    let flat = Projection::new(3, vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]).unwrap();
    let rows = [[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [0.3, 0.0, 0.9], [0.0, 1.0, 0.0]].map(Vec::from);
    let kept = |most| apart(&rows, &flat, most);
    assert_eq!(kept(0.99), [&rows[..2], &rows[3..]].concat());
    assert_eq!((kept(0.7), kept(-1.0)), (vec![rows[0].clone(), rows[3].clone()], vec![rows[0].clone()]));
    assert!(apart(&[], &flat, 0.5).is_empty());
}

#[test]
fn vectors_with_a_faulty_part_are_refused_with_their_reason() {
    let knowledge = parse(&[entry("one", Category::Troubleshooting, "Why?")]).unwrap();
    let count = texts(&knowledge.entries()[0]).len();
    let good: Vec<f32> = Projection::identity(2).values().to_vec();
    let file = |projection: Option<(&[f32], [usize; 2])>, scale: f32, planes: &[f32], examples: &[u32]| {
        let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let (values, scales, rows) = (vec![1u8; 2 * count], bytes(&vec![scale; count]), planes.len() / 4);
        let planes = bytes(planes);
        let counts: Vec<u8> = examples.iter().flat_map(|count| count.to_le_bytes()).collect();
        let mut tensors = vec![
            ("examples", TensorView::new(Dtype::U32, vec![examples.len()], &counts).unwrap()),
            ("values", TensorView::new(Dtype::I8, vec![count, 2], &values).unwrap()),
            ("scales", TensorView::new(Dtype::F32, vec![count], &scales).unwrap()),
        ];
        if !planes.is_empty() {
            tensors.push(("planes", TensorView::new(Dtype::F32, vec![4, rows], &planes).unwrap()));
        }
        let upper =
            |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()[2..].to_vec()).collect::<Vec<u8>>();
        let matrix = projection.map(|(values, shape)| (upper(values), shape));
        if let Some((bytes, shape)) = &matrix {
            tensors.push(("projection", TensorView::new(Dtype::BF16, shape.to_vec(), bytes).unwrap()));
        }
        let parsed = Vectors::parse(&serialize(tensors, None).unwrap(), knowledge.entries());
        parsed.map(drop).map_err(|error| error.to_string())
    };
    let (square, plane) = (Some((&good[..], [2, 2])), &[0.5; 12][..]);
    file(square, 0.5, plane, &[0; 4]).unwrap();
    for (examples, expected) in
        [(&[0; 3][..], "\"examples\" has the wrong type or shape"), (&[1, 0, 0, 0], "do not belong")]
    {
        let error = file(square, 0.5, plane, examples).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let mut nan = [1.0; 12];
    nan[2] = f32::NAN;
    for (projection, scale, planes, expected) in [
        (None, 0.5, plane, "projection"),
        (Some((&good[..], [1, 4])), 0.5, plane, "\"projection\" has the wrong type or shape"),
        (Some((&nan[..4], [2, 2])), 0.5, plane, "\"projection\" holds a value that is no finite number"),
        (square, f32::INFINITY, plane, "\"scales\" holds a value that is no finite number"),
        (square, 0.5, &[], "planes"),
        (square, 0.5, &plane[..8], "\"planes\" has the wrong type or shape"),
        (square, 0.5, &[0.5; 16], "\"planes\" has the wrong type or shape"),
        (square, 0.5, &nan, "\"planes\" holds a value that is no finite number"),
    ] {
        let error = file(projection, scale, planes, &[0; 4]).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    assert!(Projection::new(2, vec![0.0; 3]).is_err() && Projection::new(0, vec![]).is_err());
}
