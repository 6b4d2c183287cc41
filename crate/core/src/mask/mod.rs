//! Masks of single entries and of whole channels, with the meaning that `torch.nn.utils.prune` gives them (`CRITERIA.md`, 6).
//!
//! A mask makes a tensor's entries zero and nothing smaller or faster by itself: see [`dead_channels`] for what of it can be
//! cut, and [`Masks::sparse`] for a file that leaves the zeros out.

mod amount;
mod custom_from_mask;
mod dead;
mod draw;
mod export;
mod global_unstructured;
mod l1_unstructured;
mod ln_structured;
mod n_m;
mod random_structured;
mod random_unstructured;
mod rank;

pub use amount::Amount;
pub use dead::dead_channels;
pub use export::Stored;
pub use ln_structured::Norm;
pub use n_m::Pattern;

use crate::channels::{Channels, Role};
use crate::error::{Code, Error, Result};
use crate::graph::Graph;
use crate::onnx::Tensor;
use crate::ops;
use crate::plan::matches_glob;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How entries are chosen. An axis that is left out is the one on which a tensor's channels are made, or for [`MaskKind::NM`]
/// the one that is summed over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum MaskKind {
    /// Smallest absolute values of each tensor.
    L1Unstructured {
        /// How many.
        amount: Amount,
    },
    /// Any entries of each tensor.
    RandomUnstructured {
        /// How many.
        amount: Amount,
        /// Decides which.
        #[serde(default)]
        seed: u64,
    },
    /// Smallest absolute values of all tensors together.
    GlobalUnstructured {
        /// How many of all.
        amount: Amount,
    },
    /// Channels of smallest norm.
    LnStructured {
        /// How many channels of each tensor.
        amount: Amount,
        /// Order of the norm.
        n: Norm,
        /// Their axis.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dim: Option<usize>,
    },
    /// Any channels.
    RandomStructured {
        /// How many channels of each tensor.
        amount: Amount,
        /// Their axis.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dim: Option<usize>,
        /// Decides which.
        #[serde(default)]
        seed: u64,
    },
    /// Masks that are given, by tensor: 0 where an entry goes.
    CustomFromMask {
        /// Row-major, one number an entry.
        mask: BTreeMap<String, Vec<u8>>,
    },
    /// Entries that are zero already: later steps choose among the others.
    Zeros {},
    /// At most so many of every run of entries.
    NM {
        /// How many of how many.
        pattern: Pattern,
        /// The axis of the runs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dim: Option<usize>,
    },
}

impl MaskKind {
    /// Whether it needs an axis that the tensor's layers have to tell, and on which side.
    fn wants(&self) -> Option<Role> {
        match self {
            MaskKind::LnStructured { dim: None, .. } | MaskKind::RandomStructured { dim: None, .. } => {
                Some(Role::Producer)
            }
            MaskKind::NM { dim: None, .. } => Some(Role::Consumer),
            _ => None,
        }
    }
}

/// One masking of some tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaskStep {
    /// How entries are chosen.
    #[serde(flatten)]
    pub kind: MaskKind,
    /// Names or patterns (`*`, `?`) of initializers; none for every weight that the kind fits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tensors: Vec<String>,
}

/// A tensor and its mask; none if it was never masked.
#[derive(Clone, Debug)]
struct Entry {
    tensor: Tensor,
    mask: Option<Vec<bool>>,
}

impl Entry {
    fn mask(&self) -> Vec<bool> {
        self.mask.clone().unwrap_or_else(|| vec![true; self.tensor.len()])
    }

    fn values(&self) -> Result<Vec<f32>> {
        self.tensor.to_f32()
    }
}

/// What masking left of a tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaskedTensor {
    /// Initializer.
    pub initializer: String,
    /// Its entries.
    pub entries: usize,
    /// How many are masked.
    pub masked: usize,
}

/// Tensors with their masks, and the way back.
#[derive(Clone, Debug, Default)]
pub struct Masks {
    tensors: BTreeMap<String, Entry>,
    /// In graph order.
    order: Vec<String>,
    /// Tensors that multiply data: the ones that are masked unless others are named.
    weights: Vec<String>,
    /// The axis on which a tensor's channels are made, and the one that is summed over.
    axes: BTreeMap<(String, Role), usize>,
    /// What each step replaced.
    done: Vec<BTreeMap<String, Entry>>,
}

impl Masks {
    /// The float parameters of a graph, none masked.
    pub fn new(graph: &Graph, channels: &Channels) -> Self {
        let mut out = Self::default();
        for (id, value, tensor) in graph.parameters().filter(|p| p.2.dtype.is_float()) {
            out.add(tensor.clone());
            let weighs = |&(node, port): &_| ops::lookup(&graph.nodes[node]).and_then(|op| op.weights()) == Some(port);
            if value.uses.iter().any(weighs) && tensor.dims.len() > 1 {
                out.weights.push(value.name.clone());
            }
            for site in channels.groups.iter().flat_map(|g| &g.sites).filter(|s| s.value == id) {
                out.axes.entry((value.name.clone(), site.role)).or_insert(site.axis);
            }
        }
        out
    }

    /// Some tensors, none masked. All of them are weights.
    pub fn of_tensors(tensors: impl IntoIterator<Item = Tensor>) -> Self {
        let mut out = Self::default();
        for tensor in tensors {
            out.weights.push(tensor.name.clone());
            out.add(tensor);
        }
        out
    }

    fn add(&mut self, tensor: Tensor) {
        self.order.push(tensor.name.clone());
        self.tensors.insert(tensor.name.clone(), Entry { tensor, mask: None });
    }

    /// The tensors that a step is about, in graph order.
    fn chosen(&self, step: &MaskStep) -> Result<Vec<String>> {
        if let MaskKind::CustomFromMask { mask } = &step.kind {
            let stranger = mask.keys().find(|name| !self.tensors.contains_key(*name));
            return match stranger {
                Some(name) => Err(Error::new(
                    Code::Usage,
                    format!("a mask is given for {name:?}, which is no float tensor of the model"),
                )),
                None => Ok(self.order.iter().filter(|name| mask.contains_key(*name)).cloned().collect()),
            };
        }
        for glob in &step.tensors {
            if !self.order.iter().any(|name| matches_glob(glob, name)) {
                return Err(Error::new(Code::Usage, format!("{glob:?} matches no float tensor of the model")));
            }
        }
        let out: Vec<String> = if step.tensors.is_empty() {
            self.weights.iter().filter(|name| self.fits(step, name)).cloned().collect()
        } else {
            let named = |name: &&String| step.tensors.iter().any(|glob| matches_glob(glob, name));
            self.order.iter().filter(named).cloned().collect()
        };
        match out.is_empty() {
            true => Err(Error::new(Code::NothingToCut, "the model has no weight that such a mask fits")),
            false => Ok(out),
        }
    }

    /// Whether a step that names no tensors takes this one: layers whose channels are the model's outputs keep them, and runs
    /// have to fit.
    fn fits(&self, step: &MaskStep, name: &str) -> bool {
        let Some(role) = step.kind.wants() else { return true };
        let Some(&axis) = self.axes.get(&(name.to_owned(), role)) else { return false };
        match &step.kind {
            MaskKind::NM { pattern, .. } => {
                self.tensors.get(name).and_then(|e| e.tensor.dims.get(axis)).is_some_and(|&n| pattern.divides(n))
            }
            _ => true,
        }
    }

    /// Masks some tensors. On an error nothing has changed. Returns how many entries are masked now that were not.
    ///
    /// # Errors
    /// When a pattern matches nothing, an amount is more than there is, or an axis does not fit.
    pub fn apply(&mut self, step: &MaskStep) -> Result<usize> {
        let names = self.chosen(step)?;
        let masks = match &step.kind {
            MaskKind::GlobalUnstructured { amount } => {
                let all = names.iter().filter_map(|n| self.tensors.get(n));
                let pool = all.map(|e| Ok((e.values()?, e.mask()))).collect::<Result<Vec<_>>>()?;
                global_unstructured::masks(&pool, *amount)?
            }
            _ => names
                .iter()
                .map(|n| self.one(step, n).map_err(|e| e.at(format!("tensor {n:?}"))))
                .collect::<Result<_>>()?,
        };
        let mut before = BTreeMap::new();
        let mut taken = 0;
        for (name, mask) in names.into_iter().zip(masks) {
            let Some(entry) = self.tensors.get_mut(&name) else { continue };
            taken += unmasked(&entry.mask()).len() - unmasked(&mask).len();
            before.insert(name, entry.clone());
            entry.mask = Some(mask);
        }
        self.done.push(before);
        Ok(taken)
    }

    /// The new mask of one tensor.
    fn one(&self, step: &MaskStep, name: &str) -> Result<Vec<bool>> {
        let entry = self.entry(name)?;
        let (values, old, dims) = (entry.values()?, entry.mask(), &entry.tensor.dims);
        let axis = |given: Option<usize>, role: Role| {
            let known = || self.axes.get(&(name.to_owned(), role)).copied();
            given.or_else(known).ok_or_else(|| {
                Error::new(Code::Usage, "its layers do not say along which axis its channels lie: name the axis")
            })
        };
        match &step.kind {
            MaskKind::L1Unstructured { amount } => l1_unstructured::mask(&values, &old, *amount),
            MaskKind::RandomUnstructured { amount, seed } => random_unstructured::mask(name, &old, *amount, *seed),
            MaskKind::LnStructured { amount, n, dim } => {
                ln_structured::mask(&values, dims, &old, *amount, *n, axis(*dim, Role::Producer)?)
            }
            MaskKind::RandomStructured { amount, dim, seed } => {
                random_structured::mask(name, dims, &old, *amount, axis(*dim, Role::Producer)?, *seed)
            }
            MaskKind::CustomFromMask { mask } => {
                custom_from_mask::mask(&old, mask.get(name).map(Vec::as_slice).unwrap_or_default())
            }
            MaskKind::Zeros {} => Ok(old.iter().zip(&values).map(|(&m, &v)| m && v != 0.0).collect()),
            MaskKind::NM { pattern, dim } => n_m::mask(&values, dims, &old, *pattern, axis(*dim, Role::Consumer)?),
            MaskKind::GlobalUnstructured { .. } => Ok(old),
        }
    }

    fn entry(&self, name: &str) -> Result<&Entry> {
        let missing = || Error::new(Code::Usage, format!("{name:?} is no float tensor of the model"));
        self.tensors.get(name).ok_or_else(missing)
    }

    /// Takes the last step back, a removal included; false if there is none.
    pub fn undo(&mut self) -> bool {
        let Some(before) = self.done.pop() else { return false };
        self.tensors.extend(before);
        true
    }

    /// Makes the mask of a tensor permanent: the masked values become the plain parameter, and no entry counts as masked.
    ///
    /// # Errors
    /// When there is no such tensor, it has no mask or cannot be read.
    pub fn remove(&mut self, name: &str) -> Result<()> {
        let entry = self.entry(name)?.clone();
        if entry.mask.is_none() {
            return Err(Error::new(Code::Usage, format!("{name:?} has no mask that could be made permanent")));
        }
        self.tensors.insert(name.to_owned(), Entry { tensor: export::zeroed(&entry)?, mask: None });
        self.done.push(BTreeMap::from([(name.to_owned(), entry)]));
        Ok(())
    }

    /// The mask of a tensor, row-major; none if it has none.
    pub fn mask(&self, name: &str) -> Option<&[bool]> {
        self.tensors.get(name)?.mask.as_deref()
    }

    /// A tensor with zeros where it is masked.
    ///
    /// # Errors
    /// When there is no such tensor, or it cannot be read.
    pub fn tensor(&self, name: &str) -> Result<Tensor> {
        export::zeroed(self.entry(name)?)
    }

    /// What is left of every masked tensor, in graph order.
    pub fn masked(&self) -> Vec<MaskedTensor> {
        let of = |name: &String| {
            let mask = self.tensors.get(name)?.mask.as_ref()?;
            let left = unmasked(mask).len();
            Some(MaskedTensor { initializer: name.clone(), entries: mask.len(), masked: mask.len() - left })
        };
        self.order.iter().filter_map(of).collect()
    }
}

/// Entries that are not masked.
fn unmasked(mask: &[bool]) -> Vec<usize> {
    mask.iter().enumerate().filter(|(_, m)| **m).map(|(i, _)| i).collect()
}
