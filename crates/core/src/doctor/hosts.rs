//! How much memory a host may have, from the name of its instance type.

/// GiB for each vCPU that no type of these families exceeds, from the fourth generation on ("Amazon EC2 instance types",
/// <https://docs.aws.amazon.com/ec2/latest/instancetypes/>): c5n has the most of the compute optimized ones.
const FAMILIES: [(char, f64); 3] = [('c', 2.67), ('m', 4.0), ('r', 8.0)];
/// Before it the families were not yet that uniform.
const FIRST_GENERATION: u32 = 4;

/// MiB that a host of this type has at the most; nothing where its name does not tell.
pub(super) fn most_mib(instance_type: &str) -> Option<u64> {
    let (family, size) = instance_type.split_once('.')?;
    let mut letters = family.chars();
    let first = letters.next()?;
    let generation: u32 = letters.next()?.to_digit(10)?;
    let (_, gib) = FAMILIES.into_iter().find(|(letter, _)| *letter == first)?;
    let vcpus = match size {
        "medium" => 1,
        "large" => 2,
        "xlarge" => 4,
        larger => 4 * larger.strip_suffix("xlarge")?.parse::<u32>().ok()?,
    };
    (generation >= FIRST_GENERATION).then_some((f64::from(vcpus) * gib * 1024.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_name_tells() {
        for (name, gib) in [("m5.large", 8), ("r6g.16xlarge", 512), ("m7i.medium", 4), ("r4.xlarge", 32)] {
            assert_eq!(most_mib(name), Some(gib * 1024), "{name}");
        }
        assert!(most_mib("c5n.18xlarge") >= Some(192 * 1024), "72 vCPUs and 192 GiB");
        for name in
            ["optimal", "m5", "mac1.metal", "m5.metal", "x2idn.large", "t3.large", "m3.xlarge", "r5.", ""]
        {
            assert_eq!(most_mib(name), None, "{name}");
        }
    }
}
