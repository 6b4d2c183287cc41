//! Lengths of axes: whole numbers, or polynomials over symbols such as `batch`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Terms of a polynomial, symbols of a term and bytes of a symbol's name beyond which it becomes a symbol of its own: sums
/// and products of a hostile file would otherwise double in size with every node. Real shapes stay far below.
const MAX_TERMS: usize = 16;
const MAX_DEGREE: usize = 8;
const MAX_NAME: usize = 200;

/// The length of an axis, or any whole number that shape arithmetic computes from lengths.
///
/// A quotient that is no polynomial becomes a symbol named after its own expression, so that equal expressions stay equal.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Dim {
    /// A number.
    Known(i64),
    /// A polynomial: product of symbols -> coefficient. Never constant, never with zero coefficients.
    Symbolic(Arc<BTreeMap<Vec<Arc<str>>, i64>>),
}

impl Dim {
    /// A single symbol.
    pub fn symbol(name: impl Into<Arc<str>>) -> Self {
        let mut name = name.into();
        if name.len() > MAX_NAME {
            name = format!("#{}", crate::report::sha256(name.as_bytes())).into();
        }
        Dim::Symbolic(Arc::new(BTreeMap::from([(vec![name], 1)])))
    }

    /// The number, if it is one.
    pub fn known(&self) -> Option<i64> {
        match self {
            Dim::Known(n) => Some(*n),
            Dim::Symbolic(_) => None,
        }
    }

    /// The number as a length, if it is known and not negative.
    pub fn length(&self) -> Option<usize> {
        self.known().and_then(|n| usize::try_from(n).ok())
    }

    /// The length when every symbol is one: that of a single sample. Quotients and the like count as one.
    pub fn at_one(&self) -> Dim {
        self.at(1)
    }

    /// The length when every symbol is `n`, at least 1.
    pub fn at(&self, n: i64) -> Dim {
        let Dim::Symbolic(terms) = self else { return self.clone() };
        let value = |(m, c): (&Vec<Arc<str>>, &i64)| m.iter().fold(*c, |product, _| product.saturating_mul(n));
        Dim::Known(terms.iter().map(value).fold(0i64, i64::saturating_add).max(1))
    }

    fn terms(&self) -> BTreeMap<Vec<Arc<str>>, i64> {
        match self {
            Dim::Known(0) => BTreeMap::new(),
            Dim::Known(n) => BTreeMap::from([(Vec::new(), *n)]),
            Dim::Symbolic(t) => t.as_ref().clone(),
        }
    }

    fn from_terms(mut terms: BTreeMap<Vec<Arc<str>>, i64>) -> Self {
        terms.retain(|_, c| *c != 0);
        if terms.len() > MAX_TERMS || terms.keys().any(|m| m.len() > MAX_DEGREE) {
            // Named after its canonical form, so that equal ones stay equal.
            return Dim::symbol(format!("({})", Dim::Symbolic(Arc::new(terms))));
        }
        match terms.len() {
            0 => Dim::Known(0),
            1 if terms.contains_key(&Vec::new()) => Dim::Known(terms.into_values().next().unwrap_or(0)),
            _ => Dim::Symbolic(Arc::new(terms)),
        }
    }

    /// Sum.
    pub fn add(&self, other: &Dim) -> Dim {
        if let (Dim::Known(a), Dim::Known(b)) = (self, other) {
            return Dim::Known(a.saturating_add(*b));
        }
        let mut terms = self.terms();
        for (m, c) in other.terms() {
            let slot = terms.entry(m).or_insert(0);
            *slot = slot.saturating_add(c);
        }
        Dim::from_terms(terms)
    }

    /// Difference.
    pub fn sub(&self, other: &Dim) -> Dim {
        self.add(&other.mul(&Dim::Known(-1)))
    }

    /// Product.
    pub fn mul(&self, other: &Dim) -> Dim {
        if let (Dim::Known(a), Dim::Known(b)) = (self, other) {
            return Dim::Known(a.saturating_mul(*b));
        }
        let mut terms: BTreeMap<Vec<Arc<str>>, i64> = BTreeMap::new();
        for (ma, ca) in self.terms() {
            for (mb, cb) in other.terms() {
                let mut m = [ma.as_slice(), mb.as_slice()].concat();
                m.sort();
                let slot = terms.entry(m).or_insert(0);
                *slot = slot.saturating_add(ca.saturating_mul(cb));
            }
        }
        Dim::from_terms(terms)
    }

    /// Quotient, if the division is exact as polynomials by a single term.
    pub fn div_exact(&self, other: &Dim) -> Option<Dim> {
        if let (Dim::Known(a), Dim::Known(b)) = (self, other) {
            return (a.checked_rem(*b)? == 0).then(|| a.checked_div(*b).map(Dim::Known)).flatten();
        }
        let divisor = other.terms();
        let (monomial, coefficient) = divisor.iter().next().filter(|_| divisor.len() == 1)?;
        let mut terms = BTreeMap::new();
        for (m, c) in self.terms() {
            let mut left = m;
            for s in monomial {
                let at = left.iter().position(|x| x == s)?;
                left.remove(at);
            }
            if c.checked_rem(*coefficient)? != 0 {
                return None;
            }
            terms.insert(left, c.checked_div(*coefficient)?);
        }
        Some(Dim::from_terms(terms))
    }

    /// Quotient rounded down. `None` for division by zero or a quotient that is no 64-bit number.
    pub fn div_floor(&self, other: &Dim) -> Option<Dim> {
        match (self, other) {
            (_, Dim::Known(0)) => None,
            (Dim::Known(a), Dim::Known(b)) => {
                let rounded_up = *b < 0 && a.checked_rem_euclid(*b)? != 0;
                a.checked_div_euclid(*b).and_then(|q| q.checked_sub(i64::from(rounded_up))).map(Dim::Known)
            }
            _ => Some(self.div_exact(other).unwrap_or_else(|| Dim::symbol(format!("floor(({self})/({other}))")))),
        }
    }

    /// A value that some other function of two lengths gives, named after it when it is not known.
    pub fn function(name: &str, a: &Dim, b: &Dim, known: impl Fn(i64, i64) -> i64) -> Dim {
        match (a, b) {
            (Dim::Known(a), Dim::Known(b)) => Dim::Known(known(*a, *b)),
            _ => Dim::symbol(format!("{name}({a},{b})")),
        }
    }
}

impl From<i64> for Dim {
    fn from(n: i64) -> Self {
        Dim::Known(n)
    }
}

impl From<usize> for Dim {
    fn from(n: usize) -> Self {
        Dim::Known(i64::try_from(n).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Known(n) => write!(f, "{n}"),
            Dim::Symbolic(terms) => {
                for (i, (m, c)) in terms.iter().enumerate() {
                    let sign = match (i, *c < 0) {
                        (0, false) => "",
                        (0, true) => "-",
                        (_, false) => "+",
                        (_, true) => "-",
                    };
                    let product = m.join("*");
                    match (c.unsigned_abs(), m.is_empty()) {
                        (c, true) => write!(f, "{sign}{c}")?,
                        (1, false) => write!(f, "{sign}{product}")?,
                        (c, false) => write!(f, "{sign}{c}*{product}")?,
                    }
                }
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The product of some lengths.
pub fn product<'a>(dims: impl IntoIterator<Item = &'a Dim>) -> Dim {
    dims.into_iter().fold(Dim::Known(1), |p, d| p.mul(d))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_stay_canonical() {
        let (n, t) = (Dim::symbol("n"), Dim::symbol("t"));
        assert_eq!(n.mul(&t), t.mul(&n));
        assert_eq!(n.add(&t).sub(&t), n);
        assert_eq!(n.mul(&Dim::Known(6)).div_exact(&Dim::Known(3)), Some(n.mul(&Dim::Known(2))));
        assert_eq!(n.mul(&t).div_exact(&t), Some(n.clone()));
        assert_eq!(n.div_exact(&t), None);
        assert_eq!(n.div_floor(&Dim::Known(2)), n.div_floor(&Dim::Known(2)));
        assert_eq!(Dim::Known(-7).div_floor(&Dim::Known(2)), Some(Dim::Known(-4)));
        assert_eq!(Dim::Known(7).div_floor(&Dim::Known(-2)), Some(Dim::Known(-4)));
        assert_eq!(n.mul(&Dim::Known(2)).add(&Dim::Known(1)).to_string(), "1+2*n");
    }
}
