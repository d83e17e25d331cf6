//! `dayfill show`

use std::path::Path;

use dayfill_core::plan::Plan;

use crate::args::{Format, ShowArgs};
use crate::error::{Exit, Failure, chain};
use crate::render;

/// Prints a plan file.
pub fn run(args: &ShowArgs, format: Format) -> Result<Exit, Failure> {
    let plan = read(&args.plan)?;
    if args.jobs {
        render::jobs(&plan, format)?;
    } else if args.days {
        render::days(&plan, format)?;
    } else {
        render::plan(&plan, format)?;
    }
    Ok(Exit::Ok)
}

/// Reads a plan file.
pub fn read(path: &Path) -> Result<Plan, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Failure::new(Exit::Error, format!("cannot read the plan {}: {e}", path.display())))?;
    Plan::from_json(&text).map_err(|e| {
        let what = format!("the plan {} cannot be used: {}", path.display(), chain(&e));
        Failure::new(Exit::Usage, what).hint("make one with: dayfill plan backfill.yaml -o plan.json")
    })
}
