//! The sample images: ten kinds of shapes and textures, drawn by this program.
//!
//! One kind a class, 32 x 32 pixels in colour, at any place, size and angle, in front of clutter, partly covered, noisy,
//! and not much brighter or darker than what is behind. The network in `assets/sample.onnx`, three residual blocks of 16,
//! 32 and 64 channels trained by `lopper sample-train`, gets 92 % of new ones right, 69 % with the weakest 30 % of its
//! inner channels cut and 13 % with half of them cut: good for showing what a cut costs and what recovery brings back.
//!
//! The pictures are the same bytes natively and in a browser: all arithmetic is `f32` addition, multiplication,
//! division, square root and rounding down, which IEEE 754 fixes to the bit. Nothing calls a platform's sine.

use lopper_core::Result;
use lopper_engine::data::Dataset;
use lopper_engine::data::random::SplitMix64;

/// Rows and columns of every picture.
pub const SIDE: usize = 32;
/// The classes, in the order of their labels.
pub const CLASSES: [&str; 10] =
    ["checker", "cross", "disc", "ring", "spiral", "square", "star", "stripes", "triangle", "wave"];
/// Separates this use of a seed from every other.
const STREAM: u64 = 0x5341_4d50_4c45_0001;

/// Red, green, blue, 0 to 1.
type Colour = [f32; 3];

/// Draws `per_class` pictures of every class, class after class. Picture `n` of a class is the same however many are
/// drawn, and another `seed` gives another set.
///
/// # Errors
/// [`lopper_core::Code::BadData`] if `per_class` is 0.
pub fn images(seed: u64, per_class: usize) -> Result<Dataset> {
    let (mut pixels, mut labels, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for (label, class) in CLASSES.into_iter().enumerate() {
        for number in 0..per_class {
            let mut random = SplitMix64::keyed(&[STREAM, seed, label as u64, number as u64]);
            pixels.extend(picture(class, &mut random));
            labels.push(label as u32);
            names.push(format!("{class}/{number:04}"));
        }
    }
    let classes = CLASSES.map(str::to_owned).to_vec();
    Dataset::from_bytes((SIDE, SIDE, 3), pixels, labels, classes, names)
}

/// Draws one picture as rows of pixels.
fn picture(class: &str, random: &mut SplitMix64) -> Vec<u8> {
    let behind = colour(random);
    let mut canvas = Canvas::new(behind, random);
    for _ in 0..1 + random.below(4) {
        let paint = Paint::beside(behind, 0.12, 0.3, random);
        let speck = Speck::new(random);
        canvas.cover(&paint, |x, y| speck.distance(x, y));
    }
    let pose = Pose::new(random);
    let paint = Paint::beside(behind, 0.3, 0.55, random);
    let figure = Figure::new(class, random);
    canvas.cover(&paint, |x, y| {
        let (u, v) = pose.local(x, y);
        figure.distance(u, v) * pose.radius
    });
    if random.below(3) == 0 {
        let paint = Paint::beside(behind, 0.12, 0.35, random);
        let cover = Cover::new(&pose, random);
        canvas.cover(&paint, |x, y| cover.distance(x, y));
    }
    canvas.finish(random)
}

/// A colour of middling brightness.
fn colour(random: &mut SplitMix64) -> Colour {
    std::array::from_fn(|_| random.range(0.25, 0.75))
}

/// `a + b * times` in every channel.
fn plus(a: Colour, b: Colour, times: f32) -> Colour {
    [a[0] + b[0] * times, a[1] + b[1] * times, a[2] + b[2] * times]
}

/// `a` where `share` is 0, `b` where it is 1.
fn blend(a: Colour, b: Colour, share: f32) -> Colour {
    plus(a, [b[0] - a[0], b[1] - a[1], b[2] - a[2]], share)
}

/// A direction of length 1, any angle equally likely.
fn direction(random: &mut SplitMix64) -> (f32, f32) {
    loop {
        let (x, y) = (random.range(-1.0, 1.0), random.range(-1.0, 1.0));
        let length = (x * x + y * y).sqrt();
        if (0.1..=1.0).contains(&length) {
            return (x / length, y / length);
        }
    }
}

/// What a figure is filled with: a colour that drifts from one side to the other.
struct Paint {
    colour: Colour,
    drift: Colour,
    along: (f32, f32),
}

impl Paint {
    /// A colour between `least` and `most` away from another, mostly in hue: half of the difference in brightness is
    /// taken back.
    fn beside(other: Colour, least: f32, most: f32, random: &mut SplitMix64) -> Self {
        let mut away: Colour = std::array::from_fn(|_| random.range(-1.0, 1.0));
        let grey = (away[0] + away[1] + away[2]) / 3.0;
        away.iter_mut().for_each(|value| *value -= 0.5 * grey);
        let length = (away[0] * away[0] + away[1] * away[1] + away[2] * away[2]).sqrt().max(0.05);
        let far = random.range(least, most) / length;
        let colour = plus(other, away, far);
        let drift = std::array::from_fn(|_| random.range(-0.06, 0.06));
        Self { colour, drift, along: direction(random) }
    }

    fn at(&self, x: f32, y: f32) -> Colour {
        let middle = SIDE as f32 / 2.0;
        let place = ((x - middle) * self.along.0 + (y - middle) * self.along.1) / middle;
        plus(self.colour, self.drift, place)
    }
}

/// The picture being drawn.
struct Canvas {
    pixels: Vec<Colour>,
}

impl Canvas {
    /// A background of one colour with slow, random changes.
    fn new(behind: Colour, random: &mut SplitMix64) -> Self {
        let mut knots = [[0.0_f32; 3]; KNOTS * KNOTS];
        let rough = random.range(0.03, 0.1);
        knots.iter_mut().flatten().for_each(|value| *value = random.range(-rough, rough));
        let between = |x: f32, y: f32| {
            let scale = (KNOTS - 1) as f32 / SIDE as f32;
            let (x, y) = (x * scale, y * scale);
            let (left, top) = (x.floor(), y.floor());
            let knot =
                |row: f32, column: f32| knots.get(row as usize * KNOTS + column as usize).copied().unwrap_or_default();
            let over = blend(knot(top, left), knot(top, left + 1.0), x - left);
            let under = blend(knot(top + 1.0, left), knot(top + 1.0, left + 1.0), x - left);
            blend(over, under, y - top)
        };
        Self { pixels: places().map(|(x, y)| plus(behind, between(x, y), 1.0)).collect() }
    }

    /// Paints where `distance`, in pixels, is below 0, with an edge one pixel wide.
    fn cover(&mut self, paint: &Paint, distance: impl Fn(f32, f32) -> f32) {
        for (pixel, (x, y)) in self.pixels.iter_mut().zip(places()) {
            let covered = (0.5 - distance(x, y)).clamp(0.0, 1.0);
            if covered > 0.0 {
                *pixel = blend(*pixel, paint.at(x, y), covered);
            }
        }
    }

    /// Adds noise and rounds to bytes.
    fn finish(self, random: &mut SplitMix64) -> Vec<u8> {
        let strength = random.range(0.02, 0.07);
        let noisy = |value: f32| {
            // Three uniform numbers summed are near enough to a normal one of deviation 1/2.
            let noise = random.unit() + random.unit() + random.unit() - 1.5;
            ((value + 2.0 * strength * noise) * 255.0 + 0.5).clamp(0.0, 255.0) as u8
        };
        self.pixels.into_iter().flatten().map(noisy).collect()
    }
}

/// Random values on a side of the background's grid.
const KNOTS: usize = 5;

/// The middles of all pixels, row by row.
fn places() -> impl Iterator<Item = (f32, f32)> {
    (0..SIDE * SIDE).map(|at| ((at % SIDE) as f32 + 0.5, (at / SIDE) as f32 + 0.5))
}

/// Where the figure stands, how large, at what angle, and how stretched.
struct Pose {
    x: f32,
    y: f32,
    radius: f32,
    along: (f32, f32),
    stretch: f32,
}

impl Pose {
    fn new(random: &mut SplitMix64) -> Self {
        let radius = random.range(8.0, 12.5);
        let room = SIDE as f32 / 2.0 - radius + 1.0;
        let middle = SIDE as f32 / 2.0;
        let x = middle + random.range(-room, room);
        let y = middle + random.range(-room, room);
        Self { x, y, radius, along: direction(random), stretch: random.range(0.87, 1.15) }
    }

    /// A pixel's place as the figure sees it: turned, and in units of its radius.
    fn local(&self, x: f32, y: f32) -> (f32, f32) {
        let (x, y) = ((x - self.x) / self.radius, (y - self.y) / self.radius);
        let (u, v) = (x * self.along.0 + y * self.along.1, y * self.along.0 - x * self.along.1);
        (u * self.stretch, v / self.stretch)
    }
}

/// A small thing that is no figure: a short line.
struct Speck {
    x: f32,
    y: f32,
    along: (f32, f32),
    length: f32,
    thickness: f32,
}

impl Speck {
    fn new(random: &mut SplitMix64) -> Self {
        let side = SIDE as f32;
        let (x, y) = (random.range(0.0, side), random.range(0.0, side));
        Self { x, y, along: direction(random), length: random.range(0.5, 6.0), thickness: random.range(0.6, 1.7) }
    }

    fn distance(&self, x: f32, y: f32) -> f32 {
        let (x, y) = (x - self.x, y - self.y);
        let along = (x * self.along.0 + y * self.along.1).clamp(-self.length, self.length);
        let (x, y) = (x - along * self.along.0, y - along * self.along.1);
        (x * x + y * y).sqrt() - self.thickness
    }
}

/// Something in front of the figure: a bar right across, or a round spot.
struct Cover {
    x: f32,
    y: f32,
    along: (f32, f32),
    half: f32,
    round: bool,
}

impl Cover {
    fn new(pose: &Pose, random: &mut SplitMix64) -> Self {
        let along = direction(random);
        let off = random.range(0.25, 0.95) * pose.radius;
        let round = random.below(2) == 0;
        let half = pose.radius * if round { random.range(0.25, 0.5) } else { random.range(0.1, 0.22) };
        Self { x: pose.x + off * along.0, y: pose.y + off * along.1, along, half, round }
    }

    fn distance(&self, x: f32, y: f32) -> f32 {
        let (x, y) = (x - self.x, y - self.y);
        if self.round {
            (x * x + y * y).sqrt() - self.half
        } else {
            (x * self.along.0 + y * self.along.1).abs() - self.half
        }
    }
}

/// A kind of figure with what varies within its class.
struct Figure<'a> {
    class: &'a str,
    /// Thickness, or how many stripes: what varies is different for each class.
    grade: f32,
    /// Where a pattern starts, in periods.
    phase: f32,
    /// Whether a pattern fills a square, not a disc.
    square: bool,
    /// Whether it is seen from behind.
    mirrored: bool,
}

impl<'a> Figure<'a> {
    fn new(class: &'a str, random: &mut SplitMix64) -> Self {
        let (grade, phase) = (random.unit(), random.unit());
        Self { class, grade, phase, square: random.below(2) == 0, mirrored: random.below(2) == 0 }
    }

    /// About how far a point is outside the figure (below 0: inside), in units of its radius.
    fn distance(&self, u: f32, v: f32) -> f32 {
        let v = if self.mirrored { -v } else { v };
        let far = (u * u + v * v).sqrt();
        let between = |low: f32, high: f32| low + (high - low) * self.grade;
        match self.class {
            "disc" => far - 0.9,
            "ring" => (far - 0.72).abs() - between(0.17, 0.27),
            "square" => u.abs().max(v.abs()) - 0.78,
            "triangle" => (-v).max(0.866_025_4 * u.abs() + 0.5 * v) - 0.56,
            "cross" => cross(u, v, between(0.2, 0.3)),
            "star" => star(u, v, between(0.38, 0.46)),
            "spiral" => spiral(u, v, far, self.phase, between(1.6, 2.1)).max(far - 1.0),
            "stripes" => self.window(u, v, far).max(stripe(u, between(1.5, 2.2), self.phase)),
            "checker" => {
                let often = between(1.1, 1.5);
                let (a, b) = (stripe(u, often, self.phase), stripe(v, often, self.phase));
                self.window(u, v, far).max(a.min(b).max(-a.max(b)))
            }
            _ => {
                let bent = u + 0.13 * swing(v * 0.95 + self.phase);
                self.window(u, v, far).max(stripe(bent, between(1.5, 2.2), self.phase))
            }
        }
    }

    /// The outline of a pattern.
    fn window(&self, u: f32, v: f32, far: f32) -> f32 {
        if self.square { u.abs().max(v.abs()) - 0.85 } else { far - 1.0 }
    }
}

/// Stripes across `u`, `often` of them in a length of 1; half is painted.
fn stripe(u: f32, often: f32, phase: f32) -> f32 {
    let place = u * often + phase;
    ((place - place.floor() - 0.5).abs() - 0.25) / often
}

/// A wave of period 1 between -1 and 1 made of parabolas, all but a sine.
fn swing(turns: f32) -> f32 {
    let place = 2.0 * (turns - turns.floor()) - 1.0;
    4.0 * place * (1.0 - place.abs())
}

fn cross(u: f32, v: f32, half: f32) -> f32 {
    let (u, v) = (u.abs(), v.abs());
    (u.max(v) - 0.98).max(u.min(v) - half)
}

/// A star of five points: folded until one half of one point is left, then the distance to its edge.
fn star(u: f32, v: f32, inner: f32) -> f32 {
    // Cosine and sine of 36 degrees: the mirror lines between the points.
    const COSINE: f32 = 0.809_017;
    const SINE: f32 = 0.587_785_24;
    let (mut x, mut y) = (u.abs(), v);
    for (mirror_x, mirror_y) in [(COSINE, -SINE), (-COSINE, -SINE)] {
        let behind = (x * mirror_x + y * mirror_y).max(0.0);
        (x, y) = (x - 2.0 * behind * mirror_x, y - 2.0 * behind * mirror_y);
    }
    let x = x.abs();
    // The edge runs from the tip (0, 1) to the notch, on the mirror line at distance `inner`.
    let (edge_x, edge_y) = (inner * SINE, inner * COSINE - 1.0);
    let length = (edge_x * edge_x + edge_y * edge_y).sqrt();
    ((y - 1.0) * edge_x - x * edge_y) / length
}

/// One arm that winds outwards, `often` times in a length of 1.
fn spiral(u: f32, v: f32, far: f32, phase: f32, often: f32) -> f32 {
    let place = far * often - turns(u, v) + phase;
    ((place - place.floor() - 0.5).abs() - 0.25) / often
}

/// The angle of a point in turns, -0.5 to 0.5, within 0.0001.
fn turns(x: f32, y: f32) -> f32 {
    let (near, far) = (x.abs().min(y.abs()), x.abs().max(y.abs()).max(1e-9));
    let slope = near / far;
    let square = slope * slope;
    let eighth = slope * (0.159_029_82 + square * (-0.051_116_58 + square * (0.023_278_7 - square * 0.006_204_89)));
    let quarter = if y.abs() > x.abs() { 0.25 - eighth } else { eighth };
    let half = if x < 0.0 { 0.5 - quarter } else { quarter };
    if y < 0.0 { -half } else { half }
}

#[cfg(test)]
mod tests {
    use lopper_engine::data::Pixels;

    use super::*;

    fn bytes(data: &Dataset) -> &[u8] {
        match data.pixels() {
            Pixels::Bytes(bytes) => bytes,
            Pixels::Floats(_) => panic!("floats"),
        }
    }

    fn checksum(data: &Dataset) -> u64 {
        bytes(data)
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
    }

    #[test]
    fn the_pictures_are_these_bytes_on_every_platform() {
        // FNV-1a of all pixels, also seen from the same code compiled to wasm32.
        assert_eq!(format!("{:016x}", checksum(&images(0, 20).unwrap())), "be732b58c8f60df5");
        assert_eq!(format!("{:016x}", checksum(&images(7, 20).unwrap())), "d3c178618c8f20e0");
    }

    #[test]
    fn a_picture_depends_on_seed_class_and_number_alone() {
        let (few, many) = (images(3, 2).unwrap(), images(3, 5).unwrap());
        let one = SIDE * SIDE * 3;
        for class in 0..10 {
            assert_eq!(bytes(&few)[class * 2 * one..][..2 * one], bytes(&many)[class * 5 * one..][..2 * one]);
        }
        let mut seen: Vec<&[u8]> = bytes(&many).chunks_exact(one).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 50);
        assert_eq!((many.classes().len(), many.label(49), many.name(49)), (10, Some(9), "wave/0004".into()));
        assert!(images(0, 0).is_err());
    }

    #[test]
    fn pixels_alone_do_not_tell_the_class() {
        // The nearest class average must be close to guessing: what tells the classes apart is form.
        let (count, one) = (60, SIDE * SIDE * 3);
        let data = images(1, count).unwrap();
        let picture = |class: usize, number: usize| &bytes(&data)[(class * count + number) * one..][..one];
        let average = |class: usize| -> Vec<f32> {
            let mut sum = vec![0.0; one];
            for number in 0..40 {
                sum.iter_mut().zip(picture(class, number)).for_each(|(sum, &byte)| *sum += f32::from(byte) / 40.0);
            }
            sum
        };
        let averages: Vec<Vec<f32>> = (0..10).map(average).collect();
        let far = |from: &[f32], to: &[u8]| from.iter().zip(to).map(|(a, &b)| (a - f32::from(b)).powi(2)).sum::<f32>();
        let nearest = |to: &[u8]| (0..10).min_by(|&a, &b| far(&averages[a], to).total_cmp(&far(&averages[b], to)));
        let right: usize = (0..200).filter(|at| nearest(picture(at / 20, 40 + at % 20)) == Some(at / 20)).count();
        assert!(right < 50, "{right} of 200");
    }

    #[test]
    fn the_angle_is_an_angle() {
        for step in 1..1000 {
            let angle = (step as f32 / 1000.0 - 0.5) * std::f32::consts::TAU;
            let found = turns(3.0 * angle.cos(), 3.0 * angle.sin());
            assert!((found - angle / std::f32::consts::TAU).abs() < 1e-4, "{step} {found}");
        }
    }

    #[test]
    fn every_figure_has_an_inside_and_an_outside_of_fair_size() {
        let mut random = SplitMix64::new(5);
        for class in CLASSES {
            for _ in 0..50 {
                let figure = Figure::new(class, &mut random);
                let point = |at: usize| ((at % 40) as f32 / 20.0 - 0.975, (at / 40) as f32 / 20.0 - 0.975);
                let inside = (0..1600).map(point).filter(|&(u, v)| figure.distance(u, v) < 0.0).count();
                assert!((240..1100).contains(&inside), "{class}: {inside} of 1600");
            }
        }
    }
}
