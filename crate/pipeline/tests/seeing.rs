//! What a person looks at: predictions beside each other, filters, feature maps, criteria and widths, on the sample. What
//! onnxruntime and numpy say of it is in `seeing/expected.json`, which `seeing/make.py` writes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use bytes::Bytes;
use lopper_pipeline::{
    Code, Control, Criterion, DataOptions, Host, PlanOptions, Progress, ScoreOptions, Session, Source, Target,
    TuneOptions, Which, block_on, from_text,
};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Instant;

static SAMPLE: &[u8] = include_bytes!("../assets/sample.onnx");
static IMAGES: &[u8] = include_bytes!("seeing/images.npz");

/// Counts what it is told, and cancels at the first breath if it has a switch.
struct Listener(Instant, RefCell<Vec<(usize, usize)>>, Cell<Option<Arc<Control>>>);

impl Host for Listener {
    fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }

    fn progress(&self, progress: &Progress) {
        if let Progress::Evaluate { done, total } | Progress::Score { done, total } = progress {
            self.1.borrow_mut().push((*done, *total));
        }
    }

    async fn breathe(&self, _idle: bool) {
        if let Some(control) = self.2.take() {
            control.cancel();
        }
    }
}

fn listener() -> Listener {
    Listener(Instant::now(), RefCell::default(), Cell::default())
}

fn expected() -> Value {
    serde_json::from_str(include_str!("seeing/expected.json")).unwrap()
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// The sample with the images of the script, so many of them for testing.
fn opened(test: f64) -> Session {
    let mut session = Session::new();
    session.open(Bytes::from_static(SAMPLE), "sample.onnx").unwrap();
    let options = DataOptions { normalize: "none".to_owned(), seed: 0, validation: Some(0.0), test: Some(test) };
    let images = Source::Archive(Bytes::from_static(IMAGES));
    block_on(session.load_data("images.npz", images, &options, &listener())).unwrap();
    session
}

fn half() -> PlanOptions {
    PlanOptions::new(Target::Ratio(0.5))
}

fn layer(session: &Session, weight: &str) -> usize {
    session.layers().unwrap().iter().position(|l| l.weight == weight).unwrap()
}

fn bytes(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> = text.bytes().filter(|c| *c != b'=').map(digit).collect();
    let of = |four: &[u8]| {
        let bits = four.iter().fold(0_u32, |bits, d| bits << 6 | u32::from(*d)) << (6 * (4 - four.len()));
        bits.to_be_bytes()[1..four.len()].to_vec()
    };
    digits.chunks(4).flat_map(of).collect()
}

#[test]
fn predictions_are_those_of_onnxruntime_and_asked_for_once() {
    let (mut session, want) = (opened(1.0), expected());
    assert!(block_on(session.compare(Which::Cut, None, 9, &listener())).is_err(), "nothing is cut yet");
    block_on(session.cut(&half(), &listener())).unwrap();
    let host = listener();
    let seen = block_on(session.compare(Which::Cut, None, 24, &host)).unwrap();
    assert_eq!(host.1.borrow().last(), Some(&(48, 48)));
    assert_eq!((seen.images, seen.seen.len()), (24, 24));
    let (classes, labels) = (floats(&want["classes"]), floats(&want["labels"]));
    let mut changed = 0;
    for one in &seen.seen {
        let image = one.picture.image as usize;
        assert_eq!(one.before.class, classes[image].to_string());
        let confidence = want["confidence"][image].as_f64().unwrap();
        assert!((f64::from(one.before.confidence) - confidence).abs() < 1e-4, "{image}");
        assert_eq!(one.before.right, Some(classes[image] == labels[image]));
        assert_eq!(one.picture.label, labels[image].to_string());
        assert_eq!(one.changed, one.before.class != one.after.class);
        changed += usize::from(one.changed);
    }
    assert!(changed > 0 && seen.changed == changed);
    assert!(seen.seen[..changed].iter().all(|one| one.changed), "those that changed come first");
    let right = |matrix: &[Vec<usize>]| matrix.iter().enumerate().map(|(k, row)| row[k]).sum::<usize>();
    let confusion = seen.confusion.as_ref().unwrap();
    let by_hand = classes.iter().zip(&labels).filter(|(c, l)| c == l).count();
    assert_eq!((right(&confusion.before), confusion.before.concat().iter().sum::<usize>()), (by_hand, 24));
    let top1 = block_on(session.evaluate(Which::Cut, None, &listener())).unwrap().top1.unwrap();
    assert_eq!(right(&confusion.after), (top1 * 24.0).round() as usize);
    let [lost, won] = seen.lost_and_won.unwrap();
    assert_eq!(by_hand as i64 - lost as i64 + won as i64, right(&confusion.after) as i64);
    for (row, (before, after)) in confusion.difference.iter().zip(confusion.before.iter().zip(&confusion.after)) {
        assert!(row.iter().zip(before.iter().zip(after)).all(|(d, (b, a))| *d == *a as i64 - *b as i64));
    }
    // Both have been asked: nothing runs again, until a model changes.
    let host = listener();
    assert_eq!(block_on(session.compare(Which::Cut, None, 24, &host)).unwrap(), seen);
    assert!(host.1.borrow().is_empty());
    block_on(session.cut(&PlanOptions::new(Target::Ratio(0.1)), &listener())).unwrap();
    let other = block_on(session.compare(Which::Cut, None, 24, &host)).unwrap();
    assert_eq!(*host.1.borrow(), [(24, 48), (48, 48)]);
    assert_ne!(other.seen, seen.seen);
    let top1 = block_on(session.evaluate(Which::Cut, None, &listener())).unwrap().top1.unwrap();
    assert_eq!(right(&other.confusion.unwrap().after), (top1 * 24.0).round() as usize);
}

#[test]
fn a_comparison_can_be_cancelled_and_follows_the_fine_tune() {
    let mut session = opened(0.5);
    block_on(session.cut(&half(), &listener())).unwrap();
    let host = listener();
    host.2.set(Some(session.control()));
    let error = block_on(session.compare(Which::Cut, None, 4, &host)).unwrap_err();
    assert_eq!(error.code(), Code::Cancelled);
    let tune = TuneOptions { epochs: 1, learning_rate: 0.1, batch: 4, ..TuneOptions::default() };
    block_on(session.tune(&tune, &listener())).unwrap();
    let first = block_on(session.compare(Which::Tuned, Some(6), 4, &listener())).unwrap();
    assert_eq!((first.images, first.seen.len()), (6, 4));
    block_on(session.tune(&TuneOptions { epochs: 0, steps: Some(9), ..tune }, &listener())).unwrap();
    let host = listener();
    block_on(session.compare(Which::Tuned, Some(6), 4, &host)).unwrap();
    assert_eq!(*host.1.borrow(), [(6, 12), (12, 12)]);
}

#[test]
fn feature_maps_and_silent_channels_are_those_of_onnxruntime() {
    let (session, want) = (opened(0.0), expected());
    let at = layer(&session, "stage2.conv1.weight");
    let seen = block_on(session.feature_maps(at, 5, &half())).unwrap();
    let ranges = want["maps"].as_array().unwrap();
    assert_eq!(seen.channels.len(), ranges.len());
    for (channel, range) in seen.channels.iter().zip(ranges) {
        let range = floats(range);
        let most = range[1].abs().max(1.0);
        assert!((f64::from(channel.range[0]) - range[0]).abs() < 1e-4 * most, "{channel:?}");
        assert!((f64::from(channel.range[1]) - range[1]).abs() < 1e-4 * most, "{channel:?}");
    }
    let (map, picture) = (floats(&want["map"]), &seen.channels[7].picture);
    assert_eq!((picture.width, picture.height, picture.planes), (16, 16, 1));
    let [low, high] = [map.iter().copied().fold(f64::MAX, f64::min), map.iter().copied().fold(f64::MIN, f64::max)];
    for (byte, v) in bytes(&picture.bytes).iter().zip(&map) {
        assert!((f64::from(*byte) - 255.0 * (v - low) / (high - low)).abs() < 1.0);
    }
    // The plan's own list says which of them go.
    let kept = session.plan(&half()).unwrap().groups.iter().find(|g| g.name == "stage2.conv1.weight").unwrap().kept;
    assert_eq!(seen.channels.iter().filter(|c| !c.goes).count(), kept);
    assert!(block_on(session.feature_maps(at, 24, &half())).is_err());
    assert!(block_on(session.feature_maps(99, 0, &half())).is_err());

    let silent = block_on(session.silent(None, &listener())).unwrap();
    assert_eq!(silent.images, 24);
    let got: Vec<Vec<u64>> =
        silent.layers.iter().map(|l| l.as_ref().unwrap().iter().map(|c| *c as u64).collect()).collect();
    let listed = |v: &Value| v.as_array().unwrap().iter().map(|c| c.as_u64().unwrap()).collect();
    let want: Vec<Vec<u64>> = want["silent"].as_array().unwrap().iter().map(listed).collect();
    assert_eq!(got, want);
    assert!(want.iter().any(|l| !l.is_empty()));
}

#[test]
fn filters_are_drawn_from_their_weights_in_the_order_of_their_scores() {
    let session = opened(0.0);
    let options = PlanOptions { criterion: Criterion::L1, ..half() };
    let stem = session.filter_pictures(0, &options).unwrap();
    assert_eq!(stem.unscored, None);
    assert!(stem.channels.iter().all(|c| (c.picture.planes, c.picture.width, c.picture.height) == (3, 3, 3)));
    assert!(stem.channels.windows(2).all(|w| w[0].score <= w[1].score));
    for filter in &stem.channels {
        let parts = session.filter_channels(0, filter.channel).unwrap();
        assert_eq!(parts.channels.len(), 3);
        // Both pictures hold the same weights, in another order.
        let (mixed, most) = (bytes(&filter.picture.bytes), filter.range[0].abs().max(filter.range[1].abs()));
        for (plane, part) in parts.channels.iter().enumerate() {
            let own: Vec<u8> = mixed.iter().skip(plane).step_by(3).copied().collect();
            assert_eq!(own, bytes(&part.picture.bytes));
            let high = own.iter().copied().max().unwrap();
            assert!((f32::from(high) - (128.0 + 127.0 * part.range[1] / most)).abs() <= 0.51);
        }
        let sum: f64 = mixed.iter().map(|b| (f64::from(*b) - 128.0).abs() / 127.0 * f64::from(most)).sum();
        assert!((sum / filter.score.unwrap() - 1.0).abs() < 0.05, "{sum} {:?}", filter.score);
    }
    // A layer that is cut: as many are marked as go, and by the criterion of the plan alone.
    let inner = session.filter_pictures(layer(&session, "stage1.conv1.weight"), &options).unwrap();
    let marks: Vec<bool> = inner.channels.iter().map(|c| c.goes).collect();
    assert_eq!(marks, [[true; 8], [false; 8]].concat());
    // One weight a channel: a square of them.
    let short = session.filter_pictures(layer(&session, "stage2.shortcut.weight"), &options).unwrap();
    assert!(short.channels.iter().all(|c| (c.picture.width, c.picture.height, c.picture.planes) == (4, 4, 1)));
    let needs = PlanOptions { criterion: Criterion::Hrank, ..half() };
    assert!(session.filter_pictures(0, &needs).is_err());
    assert!(session.filter_channels(0, 16).is_err());
}

#[test]
fn the_plane_of_filters_is_that_of_numpy() {
    let (session, want) = (opened(0.0), expected());
    let seen = session.filter_plane(layer(&session, "stage2.conv1.weight"), &half()).unwrap();
    let want = &want["plane"];
    assert!((seen.share - want["share"].as_f64().unwrap()).abs() < 1e-5);
    for (got, sum) in seen.sums.iter().zip(floats(&want["sums"])) {
        assert!((got / sum - 1.0).abs() < 1e-5);
    }
    for (got, point) in seen.points.iter().zip(want["points"].as_array().unwrap()) {
        let point = floats(point);
        assert!((got[0].abs() - point[0]).abs() < 1e-3 && (got[1].abs() - point[1]).abs() < 1e-3, "{got:?} {point:?}");
    }
    let median = floats(&want["median"]);
    assert!((seen.median[0].abs() - median[0]).abs() < 1e-4 && (seen.median[1].abs() - median[1]).abs() < 1e-4);
    assert_eq!((seen.goes.len(), seen.nearest.len()), (16, 16));
    let farthest = seen.nearest.iter().map(|&k| seen.sums[k]).fold(0.0, f64::max);
    assert_eq!(seen.sums.iter().filter(|s| **s <= farthest).count(), 16);
}

#[test]
fn criteria_agree_as_numpy_says() {
    let (session, want) = (opened(0.0), expected());
    let criteria = [Criterion::L1, Criterion::L2, Criterion::FpgmL2, Criterion::BnScale, Criterion::Apoz];
    let images = ScoreOptions { batch: 8, limit: Some(16) };
    let seen = block_on(session.agreement(&criteria, &images, &listener())).unwrap();
    assert_eq!(seen.criteria, ["l1", "l2", "fpgm_l2", "bn_scale", "apoz"]);
    let (mut sum, mut filters) = (0.0, 0.0);
    for (layer, want) in seen.layers.iter().zip(want["layers"].as_array().unwrap()) {
        assert_eq!(layer.filters as u64, want["filters"].as_u64().unwrap());
        for (column, name) in [(1, "l1_l2"), (2, "l1_fpgm"), (3, "l1_scale")] {
            match (layer.matrix[0][column], want[name].as_f64()) {
                (Some(got), Some(want)) => assert!((got - want).abs() < 1e-5, "{} {name} {got} {want}", layer.weight),
                other => assert_eq!(other, (None, None), "{} {name}", layer.weight),
            }
        }
        assert_eq!(layer.matrix[2][0], layer.matrix[0][2]);
        sum += layer.matrix[0][1].unwrap() * layer.filters as f64;
        filters += layer.filters as f64;
    }
    assert!((seen.overall[0][1].unwrap() - sum / filters).abs() < 1e-9);
    assert_eq!(seen.overall[1][1].map(|r| (r * 1e9).round()), Some(1e9));
    assert!(seen.overall[0][4].is_some() && seen.left_out.is_empty());
    let mut bare = Session::new();
    bare.open(Bytes::from_static(SAMPLE), "sample.onnx").unwrap();
    assert!(block_on(bare.agreement(&[Criterion::Apoz], &images, &listener())).is_err());
}

const BRANCHES: &str = "
(float[1,3,8,8] x) => (float[1,5] y)
<float[6,3,1,1] aw, float[4,3,1,1] bw, float[5,640] head>
{
  a = Conv (x, aw)
  b = Conv (x, bw)
  both = Concat <axis = 1> (a, b)
  flat = Flatten (both)
  y = Gemm <transB = 1> (flat, head)
}
";

#[test]
fn channels_of_a_value_are_those_of_its_producers() {
    let mut session = Session::new();
    session.open(from_text(BRANCHES).unwrap(), "branches.onnx").unwrap();
    let [both] = session.value_channels("both", &half()).unwrap().try_into().unwrap();
    assert_eq!((both.axes.as_slice(), both.runs.len(), both.more), ([1].as_slice(), 2, false));
    let of = |k: usize| (both.runs[k].producers.concat(), both.runs[k].goes.len(), both.runs[k].each);
    assert_eq!((of(0), of(1)), (("aw".to_owned(), 6, 1), ("bw".to_owned(), 4, 1)));
    let [flat] = session.value_channels("flat", &half()).unwrap().try_into().unwrap();
    assert_eq!(flat.runs.iter().map(|r| (r.goes.len(), r.each)).collect::<Vec<_>>(), [(6, 64), (4, 64)]);
    assert!(flat.runs.iter().zip(&both.runs).all(|(f, b)| f.goes == b.goes && f.group == b.group));
    let gone: Vec<usize> = both.runs.iter().map(|r| r.goes.iter().filter(|g| **g).count()).collect();
    assert_eq!(gone, [3, 2]);
    assert!(session.value_channels("y", &half()).unwrap().is_empty());
    assert!(session.value_channels("nobody", &half()).is_err());

    let (drawing, after) = (session.drawing().unwrap(), session.widths(&half()).unwrap());
    assert_eq!(drawing.values.len(), after.len());
    let width = |name: &str| {
        let at = drawing.values.iter().position(|v| v.name == name).unwrap();
        (drawing.values[at].shape.clone().unwrap().join(" "), after[at].clone().unwrap().join(" "))
    };
    assert_eq!(width("both"), ("1 10 8 8".to_owned(), "1 5 8 8".to_owned()));
    assert_eq!(width("flat"), ("1 640".to_owned(), "1 320".to_owned()));
    assert_eq!(width("y"), ("1 5".to_owned(), "1 5".to_owned()));
}
