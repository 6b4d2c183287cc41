//! `lopper mask`

use super::{open, print_json, run::read, write_model};
use crate::args::Mask;
use crate::files;
use crate::table::{Table, count, left};
use crate::terminal::Terminal;
use lopper_pipeline::{
    Amount, Code, CutSummary, Error, MaskKind, MaskStep, MaskSummary, PlanOptions, Recipe, Result, Target, Which,
    block_on,
};
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
struct Outcome<'a> {
    #[serde(flatten)]
    mask: &'a MaskSummary,
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<&'a CutSummary>,
    /// What was done, for `--steps` of a later call and for `lopper run`.
    recipe: &'a Recipe,
}

/// Masks a model and writes it.
pub fn run(args: &Mask) -> Result<()> {
    let steps = steps(args)?;
    files::guard(&args.output, &[&args.model], args.force)?;
    if let Some(report) = &args.report {
        files::guard(report, &[&args.model, &args.output], false)?;
    }
    let mut session = open(&args.model)?;
    let mut mask = session.mask(&steps)?;
    let mut cut = None;
    let bytes = if args.cut {
        let terminal = Terminal::new();
        cut = Some(block_on(session.cut(&PlanOptions::new(Target::Dead), &terminal))?);
        terminal.clear();
        write_model(&session, Which::Cut, &args.model, &args.output)?
    } else if args.sparse {
        let (model, summary) = session.sparse()?;
        mask = summary;
        files::write(&args.output, &model)?;
        model.len() as u64
    } else {
        write_model(&session, Which::Original, &args.model, &args.output)?
    };
    let recipe = Recipe { mask: steps, sparse: args.sparse, ..Recipe::default() };
    let outcome = Outcome { mask: &mask, cut: cut.as_ref(), recipe: &recipe };
    if let Some(report) = &args.report {
        let text = match args.cut {
            true => session.report()?,
            false => serde_json::to_string_pretty(&outcome).unwrap_or_default(),
        };
        files::write(report, text.as_bytes())?;
    }
    if args.json {
        return print_json(&outcome);
    }
    print(args, &mask, cut.as_ref(), bytes);
    Ok(())
}

/// The steps of a file without the last ones, and then that of the arguments.
fn steps(args: &Mask) -> Result<Vec<MaskStep>> {
    let mut steps = match &args.steps {
        Some(path) => listed(path)?,
        None => Vec::new(),
    };
    if args.undo > steps.len() {
        let what = format!("{} steps cannot be taken back: the file of --steps holds {}", args.undo, steps.len());
        return Err(Error::new(Code::Usage, what));
    }
    steps.truncate(steps.len() - args.undo);
    if let Some(name) = &args.kind {
        steps.push(MaskStep { kind: kind(args, name)?, tensors: args.tensor.clone() });
    }
    if steps.is_empty() {
        return Err(Error::new(Code::Usage, "there is nothing to mask by: give --kind, or a file with steps"));
    }
    Ok(steps)
}

/// Steps from a JSON list of them, a recipe or a report.
fn listed(path: &Path) -> Result<Vec<MaskStep>> {
    let bytes = files::read(path)?;
    if !bytes.trim_ascii_start().starts_with(b"[") {
        return Ok(read(&path.to_string_lossy())?.mask);
    }
    serde_json::from_slice(&bytes)
        .map_err(|e| Error::new(Code::Usage, format!("{} holds no list of mask steps ({e})", path.display())))
}

fn kind(args: &Mask, name: &str) -> Result<MaskKind> {
    let amount = || -> Result<Amount> {
        args.amount.ok_or_else(|| Error::new(Code::Usage, format!("{name} needs --amount, such as 0.3 or 7")))
    };
    Ok(match name {
        "l1_unstructured" => MaskKind::L1Unstructured { amount: amount()? },
        "random_unstructured" => MaskKind::RandomUnstructured { amount: amount()?, seed: args.seed },
        "global_unstructured" => MaskKind::GlobalUnstructured { amount: amount()? },
        "ln_structured" => MaskKind::LnStructured { amount: amount()?, n: args.n, dim: args.dim },
        "random_structured" => MaskKind::RandomStructured { amount: amount()?, dim: args.dim, seed: args.seed },
        "zeros" => MaskKind::Zeros {},
        "n_m" => MaskKind::NM { pattern: args.pattern, dim: args.dim },
        "custom_from_mask" => {
            let path =
                args.mask.as_ref().ok_or_else(|| Error::new(Code::Usage, "custom_from_mask needs --mask FILE"))?;
            let bad = |e: serde_json::Error| {
                Error::new(Code::Usage, format!("{} holds no masks as lists of 0 and 1 ({e})", path.display()))
            };
            MaskKind::CustomFromMask { mask: serde_json::from_slice(&files::read(path)?).map_err(bad)? }
        }
        other => {
            let kinds = "l1_unstructured, random_unstructured, global_unstructured, ln_structured, random_structured, n_m, custom_from_mask";
            return Err(Error::new(Code::Usage, format!("there is no mask {other:?}: choose one of {kinds}")));
        }
    })
}

fn print(args: &Mask, mask: &MaskSummary, cut: Option<&CutSummary>, bytes: u64) {
    println!("{} -> {}", args.model.display(), args.output.display());
    let mut table = Table::new(&["tensor", ">entries", ">masked", ">left"]);
    for t in &mask.tensors {
        let kept = (t.entries - t.masked) as u64;
        table.row([
            t.initializer.clone(),
            count(t.entries as u64),
            count(t.masked as u64),
            left(t.entries as u64, kept),
        ]);
    }
    table.print();
    println!(
        "{} of {} entries are zero; the file has {} bytes",
        count(mask.masked as u64),
        count(mask.entries as u64),
        count(bytes)
    );
    let larger: Vec<&str> =
        mask.stored.iter().filter(|s| s.sparse && s.bytes > s.dense).map(|s| s.initializer.as_str()).collect();
    if !larger.is_empty() {
        println!("as lists these take more bytes than with their zeros: {}", larger.join(", "));
    }
    match cut {
        Some(c) => {
            let lost = |g: &&lopper_pipeline::GroupChange| g.kept < g.channels;
            for g in c.estimate.groups.iter().filter(lost) {
                println!("cut {} dead channels of {} in {}", g.channels - g.kept, g.channels, g.name);
            }
            match (c.max_error, &c.not_proved) {
                (Some(e), _) => println!(
                    "proof: the cut model equals the masked one; largest difference {e:.1e} of the largest output"
                ),
                (None, why) => {
                    println!("proof: not run, because {}", why.as_deref().unwrap_or("the model cannot be run"))
                }
            }
        }
        None => println!("note: {}; see --cut", mask.note),
    }
}
