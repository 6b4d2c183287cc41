//! What a person can do about a reason why channels stay.

/// Words of a reason and what a person can do about it; the first that fits counts.
const ADVICE: &[(&str, &str)] = &[
    ("an input of the model", "nothing: the model's inputs keep their shape; cut the layers behind it"),
    ("which cannot be cut there", "ask `lopper inspect MODEL --why NAME` what keeps the value that it meets"),
    ("no rule", "export the model with standard operators, or lock what surrounds this node"),
    ("channels last", "export the model with channels before the places"),
    ("into bodies", "simplify the model, so that the node with the body is folded or unrolled"),
    ("sequence of tensors", "export the model without sequences: unroll the loop that fills it, or stack the tensors"),
    ("optional value", "export the model without optional values"),
    ("a loss compares", "export the model for inference, without its loss"),
    ("the cache of", "export the model without a cache of past keys and values"),
    ("running the model", "export with static shapes, or simplify the model first so that shapes are constants"),
    ("not known", "export with static shapes, or simplify the model first so that shapes are constants"),
    ("unknown length", "export with static shapes, or simplify the model first so that shapes are constants"),
    ("is missing", "give the node its number of heads as an attribute"),
    ("too large to follow", "cut the model in parts: split it at a node and prune each file"),
    ("more inputs than", "write the node as several with fewer inputs"),
    ("softmax", "nothing: a softmax compares all positions along it; cut the layers before the one that makes them"),
    ("divided by zero", "store the reciprocal and multiply by it"),
    ("where it is masked", "an activation with f(0) = 0 (Relu, Gelu, Tanh) before it makes its channels removable"),
    ("what is masked would count", "a sum or a mean after an activation with f(0) = 0 (Relu, Gelu, Tanh) can be cut"),
    ("copies of its own positions", "pad with zeros (mode constant) to cut along it"),
    ("number of groups", "nothing: the groups stay, and each loses as many channels"),
    ("one number a group", "nothing: the groups stay, and each loses as many channels"),
    ("number of offset groups", "nothing: the groups stay, and each loses as many channels"),
    ("merges rows and columns", "export the reshape in the order of the axes, with a transposition before it"),
    ("a reshape merges", "keep the axes apart, or merge them before they are computed from channels"),
    ("divided otherwise", "give both values the same axes (heads, groups) before they meet"),
    ("halves an axis that is divided", "split the gate before the axis is divided into heads"),
    ("write it as", "rewrite the node as the reason says"),
    ("heads", "remove whole heads by name: they are the groups that end in /rows"),
    ("by number", "nothing: the numbers that pick positions would point elsewhere; cut another axis of it"),
    ("looked up", "nothing: the numbers that pick positions would point elsewhere; cut another axis of it"),
    ("says which", "nothing: it holds places, not channels"),
    ("places", "nothing: it holds places, not channels"),
    ("coordinates", "nothing: it holds places, not channels"),
    ("corners", "nothing: it holds places, not channels"),
    ("offsets of", "nothing: it holds places, not channels"),
    ("slides along", "nothing: positions along it are places, not channels"),
    ("resized along", "nothing: positions along it are places, not channels"),
    ("runs along it", "nothing: positions along it are times, not channels"),
    ("mixes all", "nothing: a transform mixes all positions along it"),
    ("matrix", "nothing: the operator needs the whole matrix"),
    ("determinant", "nothing: the operator needs the whole matrix"),
    ("other side of the grouped", "ask `lopper inspect MODEL --why NAME` what keeps the value that it meets"),
    ("takes a diagonal", "multiply by an identity matrix and sum instead of taking the diagonal"),
    ("counts along it", "an activation with f(0) = 0 (Relu, Gelu, Tanh) before the sum makes its channels removable"),
    ("numbers of the positions that are written", "nothing: it holds places, not channels"),
    ("one-hot code", "nothing: it holds the two values, not channels"),
    ("only position along the axis", "nothing: a single channel cannot go; cut the values that it is spread over"),
    ("counted over all axes", "cut the layers behind the node that counts, or compute its numbers outside the model"),
    ("largest or smallest", "export the model without its last choice: the number would name another position"),
    ("above a diagonal", "multiply by a constant mask instead, whose rows and columns can go"),
    ("are left is computed", "select by constant numbers (Gather) where the selection is always the same"),
    ("positions are alike", "compute what is alike outside the model"),
    ("cannot be cut", "ask `lopper inspect MODEL --why NAME` what keeps the value that it meets"),
];

/// What a person can do about a reason; `by_node` is false where the model's outputs ask for it.
pub fn what_to_do(by_node: bool, why: &str) -> String {
    if !by_node {
        return "nothing: the model's outputs keep their shape; cut the layers before it".to_owned();
    }
    let advice = ADVICE.iter().find(|(words, _)| why.contains(*words)).map(|(_, advice)| *advice);
    advice.unwrap_or("nothing: this axis keeps its length; cut other groups").to_owned()
}

#[cfg(test)]
mod tests {
    use super::what_to_do;

    #[test]
    fn every_reason_has_an_advice_of_its_own() {
        for (why, words) in [
            ("it meets axis 1 of \"x\", an input of the model", "inputs keep their shape"),
            ("it meets axis 0 of \"t\", which cannot be cut there", "--why"),
            ("a sequence of tensors holds it; export the model without sequences to cut it", "stack the tensors"),
            ("a softmax runs over it", "compares all positions"),
            ("the heads that it meets in an attention cannot be cut", "/rows"),
            ("it is sliced at bounds that only running the model tells", "static shapes"),
        ] {
            assert!(what_to_do(true, why).contains(words), "{why}: {}", what_to_do(true, why));
        }
        assert!(what_to_do(false, "it is an output of the model").contains("outputs"));
    }
}
