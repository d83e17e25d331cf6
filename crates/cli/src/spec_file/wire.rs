//! The tree of a document as the parts of a spec: names and types, no meaning.

use dayfill_core::spec::{
    AwsParts, JobParts, LimitsParts, LocalParts, MemoryParts, MemorySignsParts, PricesParts, RetryParts,
    SourceParts, SpecParts, SplitParts, WindowParts,
};

use super::fields::{self, Fields, Findings};
use super::node::Node;

const ROOT: [&str; 13] = [
    "name", "source", "window", "split", "job", "retry", "limits", "prices", "deadline", "aws", "engine",
    "local", "state",
];
const SOURCE: [&str; 7] = ["uri", "layout", "zone", "include", "exclude", "dimensions", "settle"];
const JOB: [&str; 13] = [
    "definition",
    "queue",
    "fallback_queue",
    "share_identifier",
    "vcpus",
    "memory",
    "timeout",
    "idempotent",
    "reads",
    "success",
    "command",
    "environment",
    "out_of_memory",
];
const LOCAL: [&str; 5] = ["lake", "vcpus", "memory", "reclaims", "seed"];

pub(super) fn parts(root: &Node, findings: &mut Findings) -> SpecParts {
    let fields = Fields::of(root, root, "", findings);
    fields.only(&ROOT, findings);
    SpecParts {
        name: fields.text("name", findings),
        source: fields.section("source", &SOURCE, findings).map(|fields| source(&fields, findings)),
        window: fields.section("window", &["from", "to", "zone"], findings).map(|fields| WindowParts {
            from: fields.text("from", findings),
            to: fields.text("to", findings),
            zone: fields.text("zone", findings),
        }),
        split: fields.section("split", &["max_bytes", "max_objects"], findings).map(|fields| SplitParts {
            max_bytes: fields.text("max_bytes", findings),
            max_objects: fields.whole("max_objects", findings),
            is_empty: fields.entries().next().is_none(),
        }),
        job: fields.section("job", &JOB, findings).map(|fields| job(&fields, findings)),
        retry: fields.section("retry", &["app", "spot", "start", "fallback_after"], findings).map_or_else(
            RetryParts::default,
            |fields| RetryParts {
                app: fields.whole("app", findings),
                spot: fields.whole("spot", findings),
                start: fields.whole("start", findings),
                fallback_after: fields.whole("fallback_after", findings),
            },
        ),
        limits: limits(&fields, findings),
        prices: fields.section("prices", &["vcpu_hour", "gib_hour"], findings).map(|fields| PricesParts {
            vcpu_hour: fields.number("vcpu_hour", findings),
            gib_hour: fields.number("gib_hour", findings),
        }),
        deadline: fields.text("deadline", findings),
        aws: aws(&fields, findings),
        engine: fields.text("engine", findings),
        local: local(&fields, findings),
        state: fields.text("state", findings),
    }
}

fn source(fields: &Fields<'_>, findings: &mut Findings) -> SourceParts {
    let mut dimensions = Vec::new();
    if let Some((key, node)) = fields.get("dimensions") {
        let named = Fields::of(node, key, &fields.path("dimensions"), findings);
        for (name, ..) in named.entries() {
            if let Some(values) = named.texts(name, findings) {
                dimensions.push((name.to_owned(), values));
            }
        }
    }
    SourceParts {
        uri: fields.text("uri", findings),
        layout: fields.text("layout", findings),
        zone: fields.text("zone", findings),
        include: fields.text("include", findings),
        exclude: fields.text("exclude", findings),
        dimensions,
        settle: fields.text("settle", findings),
    }
}

fn job(fields: &Fields<'_>, findings: &mut Findings) -> JobParts {
    let mut environment = Vec::new();
    if let Some((key, node)) = fields.get("environment") {
        let variables = Fields::of(node, key, &fields.path("environment"), findings);
        for (name, key, node) in variables.entries() {
            if let Some(value) = fields::text(&variables.path(name), key, node, findings) {
                environment.push((name.to_owned(), value));
            }
        }
    }
    JobParts {
        definition: fields.text("definition", findings),
        queue: fields.text("queue", findings),
        fallback_queue: fields.text("fallback_queue", findings),
        share_identifier: fields.text("share_identifier", findings),
        vcpus: fields.whole("vcpus", findings),
        memory: fields.section("memory", &["start", "max"], findings).map(|fields| MemoryParts {
            start: fields.text("start", findings),
            max: fields.text("max", findings),
        }),
        timeout: fields.text("timeout", findings),
        idempotent: fields.text("idempotent", findings),
        reads: fields.text("reads", findings),
        success: fields.text("success", findings),
        command: fields.texts("command", findings),
        environment,
        out_of_memory: fields.section("out_of_memory", &["exit_codes", "log"], findings).map(|fields| {
            MemorySignsParts {
                exit_codes: fields.texts("exit_codes", findings),
                log: fields.texts("log", findings),
            }
        }),
    }
}

fn limits(fields: &Fields<'_>, findings: &mut Findings) -> LimitsParts {
    let Some(fields) = fields.section("limits", &["in_flight", "stop_after", "max_jobs", "pilots"], findings)
    else {
        return LimitsParts::default();
    };
    LimitsParts {
        in_flight: fields.whole("in_flight", findings),
        stop_after: fields.text("stop_after", findings),
        max_jobs: fields.whole("max_jobs", findings),
        pilots: fields.whole("pilots", findings),
    }
}

fn aws(fields: &Fields<'_>, findings: &mut Findings) -> AwsParts {
    let Some(fields) = fields.section("aws", &["region", "profile", "endpoint_url"], findings) else {
        return AwsParts::default();
    };
    AwsParts {
        region: fields.text("region", findings),
        profile: fields.text("profile", findings),
        endpoint_url: fields.text("endpoint_url", findings),
    }
}

fn local(fields: &Fields<'_>, findings: &mut Findings) -> LocalParts {
    let Some(fields) = fields.section("local", &LOCAL, findings) else {
        return LocalParts::default();
    };
    LocalParts {
        lake: fields.text("lake", findings),
        vcpus: fields.whole("vcpus", findings),
        memory: fields.text("memory", findings),
        reclaims: fields.text("reclaims", findings),
        seed: fields.whole("seed", findings),
    }
}
