//! Valid files that ask for much: long, wide, deep, or of sizes that only numbers have.

use super::build::{Net, body, info, int, ints, node};
use lopper_core::onnx::proto::GraphProto;

/// Every file with its name.
pub fn all() -> Vec<(&'static str, Net)> {
    let mut out = wide();
    out.extend(long());
    out.extend(arithmetic());
    out
}

/// `x` [1, 3, 4, 4] through a first convolution of `n` filters, named `h`.
fn start(n: usize) -> Net {
    Net::new().input("x", &[1, 3, 4, 4]).weight("w", &[n, 3, 1, 1]).weight("v", &[2, n, 1, 1]).node(
        "Conv",
        "x w",
        "h",
        &[],
    )
}

fn end(net: Net, from: &str) -> Net {
    net.node("Conv", &format!("{from} v"), "y", &[]).output("y")
}

/// A chain of `count` nodes that `make` adds, each from its number and the last one's.
fn chain(net: Net, count: usize, make: impl Fn(Net, String, String) -> Net) -> Net {
    let name = |i: usize| if i == 0 { "h".to_owned() } else { format!("h{i}") };
    (0..count).fold(net, |net, i| make(net, name(i), name(i + 1)))
}

fn wide() -> Vec<(&'static str, Net)> {
    let huge = 1i64 << 39;
    let doubled =
        chain(start(64), 60, |net, from, to| net.node("Concat", &format!("{from} {from}"), &to, &[int("axis", 1)]));
    let twice: Vec<i64> = (0..64).chain(0..64).collect();
    let gathered = chain(start(64).ints("i", &twice), 40, |net, from, to| {
        net.node("Gather", &format!("{from} i"), &to, &[int("axis", 1)])
    });
    let many: Vec<String> = (0..10_000).map(|i| format!("p{i}")).collect();
    let parts = start(10_000).node("Split", "h", &many.join(" "), &[int("axis", 1)]).node(
        "Concat",
        &many.join(" "),
        "c",
        &[int("axis", 1)],
    );
    let same = ["h"; 100_000].join(" ");
    let inner =
        GraphProto { node: vec![node("Sum", &same, "c", &[])], output: vec![info("c", &[])], ..GraphProto::default() };
    vec![
        (
            "an expand to 2^39",
            Net::new().input("x", &[1, 1]).ints("i", &[1, huge]).node("Expand", "x i", "y", &[]).output("y"),
        ),
        (
            "a constant of 2^39",
            Net::new()
                .ints("i", &[huge])
                .node("ConstantOfShape", "i", "h", &[])
                .node("Relu", "h", "y", &[])
                .output("y"),
        ),
        ("a slice of 2^39", {
            Net::new()
                .input("x", &[huge])
                .ints("a", &[1])
                .ints("b", &[huge])
                .ints("o", &[0])
                .node("Slice", "x a b o a", "y", &[])
                .output("y")
        }),
        ("channels padded by 2^38", {
            let net = start(8).ints("p", &[0, huge / 64, 0, 0, 0, 0, 0, 0]).node("Pad", "h p", "q", &[]);
            net.node("GlobalAveragePool", "q", "y", &[]).output("y")
        }),
        ("a flatten of 2^38", {
            let net = Net::new().input("x", &[1, 3, 1 << 17, 1 << 17]).weight("w", &[8, 3, 1, 1]).node(
                "Conv",
                "x w",
                "h",
                &[],
            );
            net.node("Flatten", "h", "f", &[]).node("Relu", "f", "y", &[]).output("y")
        }),
        ("a concat that doubles 60 times", doubled.output("h60")),
        ("a gather that doubles 40 times", gathered.output("h40")),
        ("parts by the thousands", end(parts, "c")),
        ("a sum of one value, over and over", end(start(64).node("Sum", &same, "s", &[]), "s")),
        (
            "a body that reads one value, over and over",
            end(start(64).node("If", "x", "b", &[body("then_branch", inner)]).output("b"), "h"),
        ),
    ]
}

fn long() -> Vec<(&'static str, Net)> {
    let relu = |net: Net, from: String, to: String| net.node("Relu", &from, &to, &[]);
    let readers =
        (0..10_000).fold(start(64), |net, i| net.node("Relu", "h", &format!("r{i}"), &[]).output(&format!("r{i}")));
    let shared = (0..2_000).fold(start(64).weight("d", &[64, 1, 3, 3]), |net, i| {
        net.node("Conv", "h d", &format!("d{i}"), &[int("group", 64), ints("pads", &[1, 1, 1, 1])])
    });
    let shapes = start(64).ints("there", &[1, 8, 128]).ints("back", &[1, 64, 4, 4]);
    let back_and_forth = chain(shapes, 300, |net, from, to| {
        let (a, b) = (format!("{from}a"), format!("{from}b"));
        net.node("Reshape", &format!("{from} there"), &a, &[])
            .node("Transpose", &a, &b, &[ints("perm", &[0, 2, 1])])
            .node("Reshape", &format!("{b} back"), &to, &[])
    });
    let convs = (0..2_000).fold(start(32), |net, i| net.weight(&format!("w{i}"), &[32, 32, 1, 1]));
    let convs = chain(convs, 2_000, |net, from, to| {
        let weight = format!("w{}", to.trim_start_matches('h').parse::<usize>().unwrap() - 1);
        net.node("Conv", &format!("{from} {weight}"), &to, &[])
    });
    let mut backwards = end(chain(start(64), 10_000, relu), "h10000");
    backwards.graph().node.reverse();
    let mut alike = end(chain(start(64), 5_000, relu), "h5000");
    alike.graph().node.iter_mut().for_each(|n| n.name = Some("same".to_owned()));
    vec![
        ("10,000 nodes in a row", end(chain(start(64), 10_000, relu), "h10000")),
        ("10,000 nodes in a row, last one first", backwards),
        ("5,000 nodes of one name", alike),
        ("10,000 readers of one value", end(readers, "h")),
        ("2,000 readers of one weight", end(shared, "d0")),
        ("300 shuffles in a row", end(back_and_forth, "h300")),
        ("2,000 convolutions in a row", end(convs, "h2000")),
        ("300,000 channels through 500 nodes", end(chain(start(300_000), 500, relu), "h500")),
    ]
}

fn arithmetic() -> Vec<(&'static str, Net)> {
    let shape = || Net::new().input("x", &[-1, -2, -3, 8]).node("Shape", "x", "h", &[]);
    let done = |net: Net, last: usize| net.node("Reshape", &format!("x h{last}"), "y", &[]).output("y");
    let twice =
        |op: &'static str| move |net: Net, from: String, to: String| net.node(op, &format!("{from} {from}"), &to, &[]);
    let mixed = |net: Net, from: String, to: String| {
        let (a, b) = (format!("{from}a"), format!("{from}b"));
        net.node("Mul", &format!("{from} {from}"), &a, &[]).node("Add", &format!("{a} h"), &b, &[]).node(
            "Div",
            &format!("{b} h"),
            &to,
            &[],
        )
    };
    let divided = |net: Net, from: String, to: String| {
        let sum = format!("{from}s");
        net.node("Add", &format!("{from} one"), &sum, &[]).node("Div", &format!("{from} {sum}"), &to, &[])
    };
    let turned = |net: Net, from: String, to: String| {
        let t = format!("{from}t");
        net.node("Gather", &format!("{from} turn"), &t, &[]).node("Add", &format!("{from} {t}"), &to, &[])
    };
    let filled = Net::new().input("x", &[1]).ints("n", &[4096]).node("ConstantOfShape", "n", "h", &[]);
    let folded = chain(filled, 5_000, twice("Add")).node("Add", "x h5000", "y", &[]).output("y");
    let long = format!("{}n", "long".repeat(50_000));
    let mut named = Net::new().input("x", &[1, 3, 4, 4]).node("Shape", "x", "h", &[]);
    named.graph().node[0].name = Some(long.clone());
    let mut named = named.input(&long, &[-1]).node("Shape", &long, "s", &[]);
    named = chain(named, 500, |net, from, to| net.node("Mul", &format!("{from} s"), &to, &[]));
    let deep =
        (0..18).fold(GraphProto { node: vec![node("Relu", "x", "c", &[])], ..GraphProto::default() }, |inner, _| {
            GraphProto {
                node: vec![node("If", "x", "c", &[body("then_branch", inner)])],
                output: vec![info("c", &[])],
                ..GraphProto::default()
            }
        });
    vec![
        ("squares of squares", done(chain(shape(), 200, twice("Mul")), 200)),
        ("sums of squares", done(chain(shape(), 300, mixed), 300)),
        ("quotients of quotients", done(chain(shape().ints("one", &[1]), 300, divided), 300)),
        ("sums of neighbours", done(chain(shape().ints("turn", &[1, 2, 3, 0]), 300, turned), 300)),
        ("greatest of greatest", done(chain(shape(), 300, twice("Max")), 300)),
        ("5,000 constants of 4,096 numbers", folded),
        ("a name of 200,000 letters", named.output("h500")),
        ("bodies 18 deep", Net::new().input("x", &[1]).node("If", "x", "y", &[body("then_branch", deep)]).output("y")),
    ]
}
