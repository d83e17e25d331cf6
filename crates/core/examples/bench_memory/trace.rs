//! What is replayed: a table of tasks that ran once, each with its peak and its time.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::CAP_MIB;

/// One task as it ran.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Task {
    pub bytes: u64,
    /// 0 where they were not counted.
    pub objects: u64,
    pub peak_mib: f64,
    pub minutes: f64,
}

/// One file.
#[derive(Debug, Default, PartialEq)]
pub struct Trace {
    /// The tasks of each type, as traced.
    pub types: BTreeMap<String, Vec<Task>>,
    /// Rows left aside: their peak or time is none.
    pub untold: usize,
    /// Rows left aside: nobody could have run them under the cap.
    pub over_the_cap: usize,
}

const COLUMNS: [&str; 5] = ["process", "bytes", "objects", "peak_mib", "minutes"];

/// Reads a file. What is no number is an error with its line; a number that says nothing is counted and left aside.
pub fn read(path: &Path) -> Result<Trace, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    parse(&text).map_err(|(line, what)| format!("{}:{line}: {what}", path.display()))
}

fn parse(text: &str) -> Result<Trace, (usize, String)> {
    let text = text.trim_start_matches('\u{feff}');
    let mut lines = text.lines().enumerate().map(|(i, line)| (i + 1, line.trim_end_matches('\r')));
    let (_, header) = lines.next().ok_or((1, "the file is empty".to_owned()))?;
    let header: Vec<&str> = header.split('\t').map(str::trim).collect();
    let mut places = [0; COLUMNS.len()];
    for (place, name) in places.iter_mut().zip(COLUMNS) {
        let missing = || (1, format!("no column `{name}`; the header needs {}", COLUMNS.join(", ")));
        *place = header.iter().position(|h| *h == name).ok_or_else(missing)?;
    }
    let mut trace = Trace::default();
    for (line, row) in lines.filter(|(_, row)| !row.trim().is_empty()) {
        let cells: Vec<&str> = row.split('\t').map(str::trim).collect();
        if cells.len() != header.len() {
            return Err((line, format!("{} columns, and the header has {}", cells.len(), header.len())));
        }
        let cell = |i: usize| places.get(i).and_then(|place| cells.get(*place)).copied().unwrap_or_default();
        let number = |i: usize, empty: f64| match cell(i) {
            "" => Ok(empty),
            text => text.parse::<f64>().map_err(|_| (line, format!("{}: `{text}` is no number", COLUMNS[i]))),
        };
        let (bytes, objects) = (number(1, f64::NAN)?, number(2, 0.0)?);
        if !(bytes >= 0.0 && bytes.is_finite() && objects >= 0.0 && objects.is_finite()) {
            return Err((line, "bytes and objects must be counts".to_owned()));
        }
        let (peak_mib, minutes) = (number(3, f64::NAN)?, number(4, f64::NAN)?);
        let task = Task { bytes: bytes as u64, objects: objects as u64, peak_mib, minutes };
        if !(peak_mib > 0.0 && minutes > 0.0 && minutes.is_finite()) {
            trace.untold += 1;
        } else if peak_mib > CAP_MIB as f64 {
            trace.over_the_cap += 1;
        } else {
            trace.types.entry(cell(0).to_owned()).or_default().push(task);
        }
    }
    if trace.types.is_empty() {
        return Err((1, "no row has a peak and a time".to_owned()));
    }
    Ok(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "process\tbytes\tobjects\tpeak_mib\tminutes\n";

    #[test]
    fn reads_what_is_there_and_counts_what_says_nothing() {
        let rows = "a\t10\t\t5.5\t0.5\r\na\t1e3\t2\t7\t1\n\na\t1\t\t0\t1\na\t1\t\t\t1\nb\t1\t\t131073\t1\n";
        let trace = parse(&format!("{HEADER}{rows}")).unwrap();
        let task = |bytes, objects, peak_mib, minutes| Task { bytes, objects, peak_mib, minutes };
        assert_eq!(trace.types["a"], [task(10, 0, 5.5, 0.5), task(1000, 2, 7.0, 1.0)]);
        assert_eq!((trace.types.len(), trace.untold, trace.over_the_cap), (1, 2, 1));
    }

    #[test]
    fn says_where_a_file_is_wrong() {
        let wrong = |rows: &str| parse(&format!("{HEADER}{rows}")).unwrap_err();
        assert_eq!(wrong("a\t1\t\t1\t1\na\tx\t\t1\t1\n"), (3, "bytes: `x` is no number".to_owned()));
        assert_eq!(wrong("a\t1\t1\n"), (2, "3 columns, and the header has 5".to_owned()));
        assert_eq!(wrong("a\t-1\t\t1\t1\n"), (2, "bytes and objects must be counts".to_owned()));
        assert_eq!(parse("").unwrap_err(), (1, "the file is empty".to_owned()));
        assert_eq!(wrong("a\t1\t\t0\t1\n"), (1, "no row has a peak and a time".to_owned()));
        assert!(parse("process\tbytes\n").unwrap_err().1.starts_with("no column `objects`"));
    }
}
