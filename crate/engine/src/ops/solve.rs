//! Elimination on small square matrices, on the host in 64 bits.

/// The determinant and, if that is not zero, the inverse of a matrix of `n` rows, row-major.
pub(super) fn eliminated(m: &[f32], n: usize) -> (f64, Option<Vec<f64>>) {
    let mut rows: Vec<Vec<f64>> = (m.chunks(n).enumerate())
        .map(|(i, row)| {
            let unit = (0..n).map(|j| if i == j { 1.0 } else { 0.0 });
            row.iter().map(|&v| f64::from(v)).chain(unit).collect()
        })
        .collect();
    let mut determinant = 1.0;
    for k in 0..n {
        let size = |row: &Vec<f64>| row.get(k).map_or(0.0, |v| v.abs());
        let largest = (k..n).max_by(|&a, &b| {
            let of = |i: usize| rows.get(i).map_or(0.0, size);
            of(a).total_cmp(&of(b))
        });
        let Some(pivot) = largest.filter(|&i| rows.get(i).is_some_and(|r| size(r) > 0.0)) else { return (0.0, None) };
        if pivot != k {
            rows.swap(pivot, k);
            determinant = -determinant;
        }
        let Some(own) = rows.get(k).cloned() else { return (0.0, None) };
        let head = own.get(k).copied().unwrap_or(1.0);
        determinant *= head;
        let own: Vec<f64> = own.into_iter().map(|v| v / head).collect();
        for (i, row) in rows.iter_mut().enumerate() {
            let times = if i == k { 0.0 } else { row.get(k).copied().unwrap_or(0.0) };
            row.iter_mut().zip(&own).for_each(|(v, o)| *v -= times * o);
        }
        if let Some(row) = rows.get_mut(k) {
            *row = own;
        }
    }
    (determinant, Some(rows.iter().flat_map(|r| r.iter().skip(n).copied()).collect()))
}
