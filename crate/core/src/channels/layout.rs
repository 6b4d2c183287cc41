//! Which channel id sits at which position of a value's axes.

use crate::graph::ValueId;
use std::sync::Arc;

/// Ids of joint positions. Values that hold the same channels share one list.
pub type Ids = Arc<[u32]>;

/// One or several axes of a value whose joint positions carry ids.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// The axes, outermost first: after a cut, rows along an earlier axis may keep different positions of a later one.
    pub axes: Vec<usize>,
    /// Length of each axis; for [`Self::blocks`], their number comes first.
    pub lengths: Vec<usize>,
    /// One id a joint position, row-major in the order of `axes`.
    pub ids: Ids,
    /// Whether the value is zero at masked positions.
    pub zero: bool,
    /// Only for weights of grouped convolutions and recurrent layers: the single axis of this bundle has other ids in
    /// every one of so many equal blocks of another axis.
    pub blocks: Option<Blocks>,
    /// The parameter and axis that this bundle was made for, as long as it is untouched.
    pub owner: Option<(ValueId, usize)>,
}

/// Equal blocks of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// The axis that is divided.
    pub axis: usize,
    /// Into how many blocks.
    pub count: usize,
}

impl Bundle {
    /// A bundle over one axis.
    pub fn single(axis: usize, ids: Ids, zero: bool) -> Self {
        Self::joint(vec![axis], vec![ids.len()], ids, zero)
    }

    /// A bundle over several axes.
    pub fn joint(axes: Vec<usize>, lengths: Vec<usize>, ids: Ids, zero: bool) -> Self {
        Self { axes, lengths, ids, zero, blocks: None, owner: None }
    }

    /// Position of an axis among the bundle's axes.
    pub fn rank_of(&self, axis: usize) -> Option<usize> {
        self.axes.iter().position(|&a| a == axis)
    }

    /// The same bundle with its axes renamed. `None` if one has no new name.
    pub fn renamed(&self, name: impl Fn(usize) -> Option<usize>) -> Option<Self> {
        let axes = self.axes.iter().map(|&a| name(a)).collect::<Option<Vec<_>>>()?;
        Some(Self { axes, ..self.clone() })
    }

    /// Number of joint positions per position of the first `prefix` axes.
    pub fn inner(&self, prefix: usize) -> usize {
        self.lengths.iter().skip(prefix).product()
    }

    /// The bundle without axes of length one, as long as one axis is left: whatever is repeated along them is not its own.
    pub fn narrowed(mut self) -> Self {
        while self.axes.len() > 1 && self.blocks.is_none() {
            let Some(rank) = self.lengths.iter().position(|n| *n == 1) else { break };
            self.axes.remove(rank);
            self.lengths.remove(rank);
        }
        self
    }

    /// The bundle without one of its axes, if all ids along it are the same to `same`.
    pub fn without(&self, rank: usize, same: impl Fn(u32, u32) -> bool) -> Option<Self> {
        let n = self.lengths.get(rank).copied()?.max(1);
        let order: Vec<usize> = (0..self.axes.len()).filter(|&r| r != rank).chain([rank]).collect();
        let moved = self.reordered(&order);
        let constant = |c: &[u32]| c.iter().all(|&i| c.first().is_some_and(|&first| same(first, i)));
        if !moved.ids.chunks(n).all(constant) {
            return None;
        }
        let ids = moved.ids.iter().step_by(n).copied().collect();
        let keep = self.axes.len().saturating_sub(1);
        let first = |v: Vec<usize>| v.into_iter().take(keep).collect();
        Some(Self::joint(first(moved.axes), first(moved.lengths), ids, self.zero))
    }

    /// Ids with the axes in another order: `order` lists ranks of the present one.
    pub fn reordered(&self, order: &[usize]) -> Self {
        let strides = strides(&self.lengths);
        let pick = |list: &[usize]| -> Vec<usize> { order.iter().filter_map(|&r| list.get(r).copied()).collect() };
        let (lengths, strides) = (pick(&self.lengths), pick(&strides));
        let ids = positions(&lengths)
            .map(|p| p.iter().zip(&strides).map(|(i, s)| i * s).sum::<usize>())
            .filter_map(|at| self.ids.get(at).copied())
            .collect();
        Self { axes: pick(&self.axes), lengths, ids, owner: None, ..self.clone() }
    }
}

/// Row-major strides.
pub fn strides(lengths: &[usize]) -> Vec<usize> {
    let mut out: Vec<usize> = lengths
        .iter()
        .rev()
        .scan(1usize, |step, n| {
            let this = *step;
            *step = step.saturating_mul(*n);
            Some(this)
        })
        .collect();
    out.reverse();
    out
}

/// Every position of a box, row-major.
pub fn positions(lengths: &[usize]) -> impl Iterator<Item = Vec<usize>> + '_ {
    let total: usize = lengths.iter().product();
    let strides = strides(lengths);
    (0..total).map(move |flat| strides.iter().zip(lengths).map(|(s, n)| flat / s % n).collect())
}

/// The bundles of a value. Axes in no bundle stay as they are.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// Bundles over disjoint axes.
    pub bundles: Vec<Bundle>,
    /// The value it was read from and by how much its axes have been shifted since, for messages.
    pub source: Option<(ValueId, usize)>,
}

impl From<Vec<Bundle>> for Layout {
    fn from(bundles: Vec<Bundle>) -> Self {
        Self { bundles, source: None }
    }
}

impl Layout {
    /// The bundle that holds an axis.
    pub fn at(&self, axis: usize) -> Option<&Bundle> {
        self.bundles.iter().find(|b| b.axes.contains(&axis))
    }

    /// Index of the bundle that holds an axis.
    pub fn index_of(&self, axis: usize) -> Option<usize> {
        self.bundles.iter().position(|b| b.axes.contains(&axis))
    }

    /// Bundles whose axes all have a new name, renamed; the others are left out.
    pub fn renamed(&self, name: impl Fn(usize) -> Option<usize>) -> Self {
        Self { bundles: self.bundles.iter().filter_map(|b| b.renamed(&name)).collect(), source: None }
    }

    /// The same layout with another answer to whether masked positions are zero.
    pub fn with_zero(mut self, zero: bool) -> Self {
        for b in &mut self.bundles {
            b.zero = zero;
        }
        self
    }
}

/// The layouts of a graph's values.
#[derive(Clone, Debug, Default)]
pub struct Layouts(Vec<Option<Layout>>);

impl Layouts {
    /// The layout of a value.
    pub fn get(&self, value: &ValueId) -> Option<&Layout> {
        self.0.get(usize::from(*value)).and_then(Option::as_ref)
    }

    /// Whether a value has one.
    pub fn contains_key(&self, value: &ValueId) -> bool {
        self.get(value).is_some()
    }

    /// Gives a value a layout.
    pub fn insert(&mut self, value: ValueId, layout: Layout) {
        *self.slot(value) = Some(layout);
    }

    /// The layout of a value; an empty one where it has none yet.
    pub fn or_default(&mut self, value: ValueId) -> &mut Layout {
        self.slot(value).get_or_insert_default()
    }

    #[allow(clippy::indexing_slicing)]
    fn slot(&mut self, value: ValueId) -> &mut Option<Layout> {
        let at = usize::from(value);
        if self.0.len() <= at {
            self.0.resize(at + 1, None);
        }
        &mut self.0[at]
    }

    /// Values that have a layout, in order, each with it.
    pub fn iter(&self) -> impl Iterator<Item = (ValueId, &Layout)> {
        self.0.iter().enumerate().filter_map(|(at, l)| Some((ValueId::from(at), l.as_ref()?)))
    }

    /// All layouts, in the order of their values.
    pub fn values(&self) -> impl Iterator<Item = &Layout> {
        self.0.iter().flatten()
    }
}
