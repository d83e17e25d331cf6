//! `dayfill register`

use dayfill_aws::job_definitions::{Difference, differs};
use dayfill_aws::{JobDefinitions, Settings, connect};
use dayfill_core::escape;
use dayfill_core::plan::RunsOn;
use serde::Serialize;
use serde_json::Value;

use crate::args::{EngineArg, Format, RegisterArgs};
use crate::error::{Exit, Failure};
use crate::site::{self, Jobs};
use crate::{output, spec_file};

#[derive(Serialize)]
struct Row {
    name: String,
    revision: Option<String>,
    what: &'static str,
    differences: Vec<String>,
}

/// Registers what differs from its active revision.
pub async fn run(args: RegisterArgs, format: Format) -> Result<Exit, Failure> {
    // All files are read before the first is registered: a mistake in the last leaves nothing half-done.
    let contents: Vec<Value> =
        args.files.iter().map(|path| spec_file::load_definition(path)).collect::<Result<_, _>>()?;
    let (connection, engine) = match args.engine {
        EngineArg::Aws => {
            let settings = Settings {
                region: args.region.clone(),
                profile: args.profile.clone(),
                ..Settings::default()
            };
            (connect(settings).await?, None)
        }
        EngineArg::Local => {
            let (connection, engine, _) = site::reach(&local(&args)?, Jobs::Hold).await?;
            (connection, engine)
        }
    };
    let definitions = JobDefinitions::new(&connection);
    let mut rows = Vec::new();
    for content in &contents {
        rows.push(one(&definitions, content, args.diff).await?);
    }
    if let Some(engine) = engine {
        engine.shutdown().await;
    }
    match format {
        Format::Json => {
            output::json(&serde_json::json!({ "schema_version": output::JSON_SCHEMA, "definitions": rows }))?;
        }
        Format::Table => output::write(&rows.iter().map(text).collect::<String>())?,
    }
    Ok(Exit::Ok)
}

fn local(args: &RegisterArgs) -> Result<RunsOn, Failure> {
    let absolute = |path: &std::path::Path| {
        std::path::absolute(path)
            .map(|p| p.display().to_string())
            .map_err(|e| Failure::new(Exit::Error, format!("cannot resolve {}: {e}", path.display())))
    };
    let lake = args.dir.with_file_name("lake");
    Ok(RunsOn::Local {
        folder: absolute(&args.dir)?,
        lake: absolute(&lake)?,
        mounts: Vec::new(),
        vcpus: None,
        memory_mib: None,
        reclaims: None,
    })
}

async fn one(definitions: &JobDefinitions, content: &Value, only_diff: bool) -> Result<Row, Failure> {
    let name = content.get("jobDefinitionName").and_then(Value::as_str).unwrap_or_default().to_owned();
    let active = definitions.active(&name).await?;
    let differences: Option<Vec<Difference>> = active.as_ref().map(|a| differs(content, &a.content));
    let shown =
        |d: &Difference| format!("{}: the file has {}, registered is {}", d.path, d.file, d.registered);
    let lines: Vec<String> = differences.iter().flatten().map(shown).collect();
    let same = differences.is_some_and(|d| d.is_empty());
    let (what, revision) = match (same, only_diff) {
        (true, _) => ("unchanged", active.map(|a| a.id())),
        (false, true) => {
            (if active.is_some() { "differs" } else { "not registered" }, active.map(|a| a.id()))
        }
        (false, false) => ("registered", Some(definitions.register(content).await?)),
    };
    Ok(Row { name, revision, what, differences: lines })
}

fn text(row: &Row) -> String {
    let id = row.revision.as_deref().unwrap_or(&row.name);
    let mut text = format!("{}  {}\n", escape::terminal(id), row.what);
    for line in &row.differences {
        text.push_str(&format!("  {}\n", escape::terminal(line)));
    }
    text
}
