//! A random model from a seed.

use super::build::{BATCH, Builder, Value};
use super::spec::Spec;

/// The model of a seed: 3 to some 40 nodes over all blocks.
pub fn generate(seed: u64) -> Spec {
    let mut b = Builder::new(seed);
    let first = match b.below(5) {
        0 => vec![BATCH, b.pick(&[4, 6, 8])],
        1 | 2 => vec![BATCH, b.pick(&[3, 4, 5]), b.pick(&[4, 6, 8])],
        _ => {
            let side = b.pick(&[4, 4, 5, 8]);
            vec![BATCH, b.pick(&[1, 3, 4]), side, side]
        }
    };
    let x = b.input(&first);
    let mut live = vec![stem(&mut b, &x)];
    while !b.full() {
        let i = if b.one_in(4) { b.below(live.len()) } else { live.len() - 1 };
        let x = live[i].clone();
        let y = block(&mut b, &x, &live);
        if y.len() > 4096 {
            continue;
        }
        live.push(y);
    }
    finish(&mut b, &live);
    b.spec.tidy();
    b.spec
}

/// A model of few blocks and few channels, for what takes a run for every pair of places.
pub fn tiny(seed: u64) -> Spec {
    let mut b = Builder::new(seed);
    (b.most, b.tiny) = (3 + b.below(8), true);
    let first = match b.below(3) {
        0 => vec![BATCH, 3],
        1 => vec![BATCH, 3, 3],
        _ => vec![BATCH, 2, 3, 3],
    };
    let x = b.input(&first);
    let mut live = vec![stem(&mut b, &x)];
    while !b.full() {
        let x = live[live.len() - 1].clone();
        let y = block(&mut b, &x, &live);
        live.push(y);
    }
    finish(&mut b, &live);
    b.spec.tidy();
    b.spec
}

/// A first layer, so that something can be cut.
fn stem(b: &mut Builder, x: &Value) -> Value {
    let c = b.width();
    if x.rank() == 4 { b.conv_to(x, c, 1) } else { b.linear(x, c) }
}

fn block(b: &mut Builder, x: &Value, live: &[Value]) -> Value {
    // Now and then two values of one shape meet.
    if b.one_in(6) {
        let same: Vec<Value> = live.iter().filter(|v| v.dims == x.dims && v.name != x.name).cloned().collect();
        if !same.is_empty() {
            let other = b.pick(&same);
            let op = b.pick(&["Add", "Add", "Mul", "Sub", "Max", "Min", "Sum"]);
            return b.same(op, "", &[x, &other]);
        }
    }
    match x.rank() {
        4 if b.one_in(10) => {
            let vector = b.one_in(2);
            b.image_to(x, vector)
        }
        4 if !b.tiny && b.one_in(4) => b.rare_image(x),
        3 if !b.tiny && b.one_in(4) => b.rare_sequence(x),
        4 => b.image_block(x),
        3 => b.sequence_block(x),
        _ if b.one_in(6) => {
            let image = b.one_in(2);
            b.vector_to(x, image)
        }
        _ => b.vector_block(x),
    }
}

/// What nothing reads goes through a last layer, or is an output as it is.
fn finish(b: &mut Builder, live: &[Value]) {
    let read: Vec<String> = b.spec.steps.iter().flat_map(|s| s.inputs.clone()).collect();
    let last = live.len() - 1;
    let ends: Vec<Value> = live
        .iter()
        .enumerate()
        .filter(|(i, v)| *i == last || !read.contains(&v.name))
        .map(|(_, v)| v.clone())
        .collect();
    for (k, end) in ends.iter().rev().enumerate() {
        if k > 0 && b.one_in(3) {
            continue;
        }
        let y = match (end.rank(), b.below(6)) {
            (_, 0) => end.clone(),
            (4, 1 | 2) => b.conv_to(end, 3, 1),
            (4, _) => {
                let v = b.image_to(end, true);
                b.linear(&v, 3)
            }
            _ => b.linear(end, 3),
        };
        b.output(&y);
    }
}
