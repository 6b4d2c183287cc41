//! What a cut took, told from the two models alone: every tensor that is smaller in the cut one is searched for in the
//! original's, slice by slice.

use lopper_core::cut::MaskEntry;
use lopper_core::graph::Graph;
use lopper_core::onnx::Tensor;

/// Slices of the original's initializers that a cut model lacks. Tensors whose numbers were changed after the cut are not
/// found, and are left out.
pub(crate) fn lost(original: &Graph, cut: &Graph) -> Vec<MaskEntry> {
    let mut out = Vec::new();
    for (_, value, old) in original.parameters() {
        let Some(new) = cut.find(&value.name).and_then(|id| cut.values[id].tensor.as_ref()) else { continue };
        let Some((old, new)) = Block::of(old).zip(Block::of(new)) else { continue };
        for (axis, kept) in old.axes_kept(&new).into_iter().flatten() {
            let length = old.dims.get(axis).copied().unwrap_or(0);
            let indices = (0..length).filter(|i| kept.binary_search(i).is_err()).collect();
            out.push(MaskEntry { initializer: value.name.clone(), axis, indices, within: None });
        }
    }
    out
}

/// Row-major numbers.
struct Block {
    dims: Vec<usize>,
    values: Vec<f32>,
}

impl Block {
    fn of(tensor: &Tensor) -> Option<Self> {
        Some(Self { dims: tensor.dims.clone(), values: tensor.to_f32().ok().filter(|_| tensor.dtype.is_float())? })
    }

    /// The axes on which `new` is shorter, with what stayed; nothing where that is on more than two, or not to be told.
    fn axes_kept(&self, new: &Self) -> Option<Vec<(usize, Vec<usize>)>> {
        let same_rank = self.dims.len() == new.dims.len();
        let axes: Vec<usize> = (0..self.dims.len()).filter(|&a| self.dims.get(a) != new.dims.get(a)).collect();
        match axes.as_slice() {
            &[axis] if same_rank => Some(vec![(axis, self.kept(new, axis)?)]),
            &[first, second] if same_rank => {
                let one = new.taken(first, &[0]);
                let length = self.dims.get(first).copied()?;
                let on_second = (0..length).find_map(|i| self.taken(first, &[i]).kept(&one, second))?;
                let on_first = self.taken(second, &on_second).kept(new, first)?;
                Some(vec![(first, on_first), (second, on_second)])
            }
            _ => None,
        }
    }

    /// Which slices of an axis `new` is made of, in order.
    fn kept(&self, new: &Self, axis: usize) -> Option<Vec<usize>> {
        let (old_length, new_length) = (self.dims.get(axis).copied()?, new.dims.get(axis).copied()?);
        let mut next = 0;
        (0..new_length)
            .map(|j| {
                let wanted: Vec<&[f32]> = new.slice(axis, j).collect();
                let found = (next..old_length).find(|&i| self.slice(axis, i).eq(wanted.iter().copied()))?;
                next = found + 1;
                Some(found)
            })
            .collect()
    }

    /// The runs of numbers of one slice.
    fn slice(&self, axis: usize, at: usize) -> impl Iterator<Item = &[f32]> {
        let inner = self.dims.iter().skip(axis + 1).product::<usize>().max(1);
        let length = self.dims.get(axis).copied().unwrap_or(1).max(1);
        self.values.chunks_exact(inner).skip(at).step_by(length)
    }

    /// Some slices of an axis.
    fn taken(&self, axis: usize, kept: &[usize]) -> Self {
        let inner = self.dims.iter().skip(axis + 1).product::<usize>().max(1);
        let length = self.dims.get(axis).copied().unwrap_or(1).max(1);
        let rows = self.values.chunks_exact(inner * length);
        let run = |row: &[f32], i: usize| row.get(i * inner..(i + 1) * inner).unwrap_or_default().to_vec();
        let values = rows.flat_map(|row| kept.iter().flat_map(move |&i| run(row, i))).collect();
        let mut dims = self.dims.clone();
        if let Some(d) = dims.get_mut(axis) {
            *d = kept.len();
        }
        Self { dims, values }
    }
}

#[cfg(test)]
mod tests {
    use super::Block;

    #[test]
    fn slices_are_found_on_two_axes_and_refused_where_numbers_changed() {
        let values: Vec<f32> = (0..4 * 5 * 3).map(|i| (i * i % 97) as f32).collect();
        let old = Block { dims: vec![4, 5, 3], values };
        let mut new = old.taken(0, &[1, 3]).taken(1, &[0, 2, 4]);
        assert_eq!(old.axes_kept(&new), Some(vec![(0, vec![1, 3]), (1, vec![0, 2, 4])]));
        assert_eq!(old.axes_kept(&old.taken(2, &[0, 2])), Some(vec![(2, vec![0, 2])]));
        assert_eq!(old.axes_kept(&old.taken(0, &[0, 1, 2, 3])), None, "nothing is shorter");
        new.values[3] += 1.0;
        assert_eq!(old.axes_kept(&new), None);
    }
}
