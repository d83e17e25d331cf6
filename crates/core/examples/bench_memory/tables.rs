//! What is printed.

use std::io::{self, Write};

use crate::policies::Name;
use crate::replay::{Cost, Setting, replay};
use crate::trace::{Task, Trace};
use crate::{CAP_MIB, FLOOR_MIB, SEEDS, START_MIB};

/// MiB × minutes in a GiB × hour.
const GIB_HOUR: f64 = 1024.0 * 60.0;
const SETTINGS: [Setting; 4] = [
    Setting { phi: 1.0, slots: 16 },
    Setting { phi: 1.0, slots: 64 },
    Setting { phi: 0.5, slots: 16 },
    Setting { phi: 0.5, slots: 64 },
];

/// What one policy cost, per task type and order.
struct Costs {
    name: Name,
    types: Vec<Vec<Cost>>,
}

impl Costs {
    fn orders(&self, without: Option<usize>) -> Vec<Cost> {
        let mut totals = vec![Cost::default(); SEEDS.len() + 1];
        let types = self.types.iter().enumerate().filter(|(i, _)| Some(*i) != without);
        for costs in types.map(|(_, costs)| costs) {
            for (total, cost) in totals.iter_mut().zip(costs) {
                *total += *cost;
            }
        }
        totals
    }

    fn wasted(&self, without: Option<usize>) -> f64 {
        mean(self.orders(without).iter().map(|c| c.wasted / GIB_HOUR))
    }

    fn kills(&self) -> f64 {
        mean(self.orders(None).iter().map(|c| c.kills as f64))
    }

    fn of_type(&self, i: usize) -> f64 {
        mean(self.types[i].iter().map(|c| c.wasted))
    }
}

/// `a` of `b`; all of it where there is none.
fn percent(a: f64, b: f64) -> f64 {
    if b > 0.0 { 100.0 * a / b } else { 100.0 }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len().max(1) as f64;
    values.sum::<f64>() / n
}

/// Replays and prints all files, and a summary of them.
pub fn print(out: &mut impl Write, traces: &[(String, Trace)]) -> io::Result<()> {
    writeln!(
        out,
        "Pilots where a task type has more than a dozen tasks; {START_MIB} MiB, doubled, until three have succeeded; \
         64 MiB steps from {FLOOR_MIB} MiB to {} GiB. Means of four orders: as traced, and shuffled by the seeds \
         {SEEDS:?}. `phi`: the part of its time that a task runs before it is killed. `per type`: the median.\n",
        CAP_MIB / 1024
    )?;
    let mut summary = Vec::new();
    for (name, trace) in traces {
        let tasks: usize = trace.types.values().map(Vec::len).sum();
        writeln!(out, "{name}: {tasks} tasks of {} types", trace.types.len())?;
        if trace.untold + trace.over_the_cap > 0 {
            let Trace { untold, over_the_cap, .. } = trace;
            writeln!(out, "left aside: {untold} without a peak or a time, {over_the_cap} over the cap")?;
        }
        for setting in SETTINGS {
            let costs = run(trace, setting);
            table(out, trace, setting, &costs)?;
            if setting.phi >= 1.0 && setting.slots == 16 {
                summary.push((name, costs));
            }
        }
        writeln!(out)?;
    }
    summarise(out, &summary)
}

fn summarise(out: &mut impl Write, summary: &[(&String, Vec<Costs>)]) -> io::Result<()> {
    writeln!(out, "GiB-hours wasted in percent of doubling, and kills for memory; phi 1, 16 at once:")?;
    write!(out, "{:24}", "")?;
    for (name, _) in summary {
        write!(out, " {name:>18}")?;
    }
    writeln!(out)?;
    for (i, name) in Name::ALL.into_iter().enumerate() {
        write!(out, "{:24}", name.show())?;
        for (_, costs) in summary {
            let percent = percent(costs[i].wasted(None), costs[0].wasted(None));
            write!(out, " {percent:>9.1} % {:>6.0}", costs[i].kills())?;
        }
        writeln!(out)?;
    }
    writeln!(out)
}

fn run(trace: &Trace, setting: Setting) -> Vec<Costs> {
    let of_type = |tasks: &Vec<Task>, name| {
        let orders = orders(tasks.len());
        orders.iter().map(|order| replay(tasks, order, setting, name)).collect()
    };
    let of = |name| Costs { name, types: trace.types.values().map(|tasks| of_type(tasks, name)).collect() };
    Name::ALL.into_iter().map(of).collect()
}

fn table(out: &mut impl Write, trace: &Trace, setting: Setting, costs: &[Costs]) -> io::Result<()> {
    let Some(doubling) = costs.first() else { return Ok(()) };
    let largest = (0..trace.types.len()).max_by(|a, b| doubling.of_type(*a).total_cmp(&doubling.of_type(*b)));
    let named = largest.and_then(|i| trace.types.keys().nth(i)).map_or("", String::as_str);
    let named = named.rsplit(':').next().unwrap_or_default();
    writeln!(
        out,
        "phi {}, {} at once{:8}{:>9} {:>19} {:>9} {:>7} {:>9}  without {named}",
        setting.phi, setting.slots, "", "GiB-h", "range", "%doubling", "kills", "per type"
    )?;
    let others = costs.iter().filter(|c| !c.name.is_ours());
    let best = others.min_by(|a, b| a.wasted(None).total_cmp(&b.wasted(None)));
    for cost in costs {
        let orders = cost.orders(None);
        let wasted = orders.iter().map(|c| c.wasted / GIB_HOUR);
        let (least, most) = (wasted.clone().fold(f64::MAX, f64::min), wasted.fold(0.0, f64::max));
        let mut types: Vec<f64> =
            (0..cost.types.len()).map(|i| percent(cost.of_type(i), doubling.of_type(i))).collect();
        types.sort_by(f64::total_cmp);
        let median = types.get(types.len() / 2).copied().unwrap_or_default();
        let lost = best.filter(|b| cost.name == Name::Dayfill && b.wasted(None) < cost.wasted(None));
        let mark = lost.map_or(String::new(), |b| {
            let by = percent(cost.wasted(None), b.wasted(None)) - 100.0;
            format!("  LOSES to {} by {by:.1} %", b.name.show())
        });
        writeln!(
            out,
            "{:24} {:9.2} {:>19} {:9.1} {:7.1} {:9.1} {:9.1}{mark}",
            cost.name.show(),
            cost.wasted(None),
            format!("{least:.2}-{most:.2}"),
            percent(cost.wasted(None), doubling.wasted(None)),
            cost.kills(),
            median,
            percent(cost.wasted(largest), doubling.wasted(largest)),
        )?;
    }
    Ok(())
}

/// As traced, and shuffled.
pub fn orders(n: usize) -> Vec<Vec<usize>> {
    let traced: Vec<usize> = (0..n).collect();
    let shuffled = SEEDS.map(|seed| {
        let mut random = Random::new(seed);
        let mut order = traced.clone();
        for i in (1..n).rev() {
            order.swap(i, (random.draw() % (i as u64 + 1)) as usize);
        }
        order
    });
    [vec![traced.clone()], shuffled.to_vec()].concat()
}

/// SplitMix64: the same everywhere, for ever.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}
