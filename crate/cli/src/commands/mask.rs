//! `lopper mask`

use super::{open, print_json, write_model};
use crate::args::Mask;
use crate::files;
use crate::table::{Table, count, left};
use crate::terminal::Terminal;
use lopper_pipeline::{
    Amount, Code, CutSummary, Error, MaskKind, MaskStep, MaskSummary, PlanOptions, Result, Target, Which, block_on,
};
use serde::Serialize;

#[derive(Serialize)]
struct Outcome<'a> {
    #[serde(flatten)]
    mask: &'a MaskSummary,
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<&'a CutSummary>,
}

/// Masks a model and writes it.
pub fn run(args: &Mask) -> Result<()> {
    let step = MaskStep { kind: kind(args)?, tensors: args.tensor.clone() };
    files::guard(&args.output, &[&args.model], args.force)?;
    if let Some(report) = &args.report {
        files::guard(report, &[&args.model, &args.output], false)?;
    }
    let mut session = open(&args.model)?;
    let mut mask = session.mask(&[step])?;
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
    let outcome = Outcome { mask: &mask, cut: cut.as_ref() };
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

fn kind(args: &Mask) -> Result<MaskKind> {
    let amount = || -> Result<Amount> {
        args.amount.ok_or_else(|| Error::new(Code::Usage, format!("{} needs --amount, such as 0.3 or 7", args.kind)))
    };
    Ok(match args.kind.as_str() {
        "l1_unstructured" => MaskKind::L1Unstructured { amount: amount()? },
        "random_unstructured" => MaskKind::RandomUnstructured { amount: amount()?, seed: args.seed },
        "global_unstructured" => MaskKind::GlobalUnstructured { amount: amount()? },
        "ln_structured" => MaskKind::LnStructured { amount: amount()?, n: args.n, dim: args.dim },
        "random_structured" => MaskKind::RandomStructured { amount: amount()?, dim: args.dim, seed: args.seed },
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
