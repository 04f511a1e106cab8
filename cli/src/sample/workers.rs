//! Workers of a staffing agency, the same for ever for a given seed.
//!
//! Row `i` depends on the seed and on `i` alone, so that a longer sample begins with a shorter
//! one. The generator of random numbers is our own (SplitMix64, Steele et al. 2014): a library's
//! may change with its version, and so would every row.

use super::words::{Role, Words};

/// One record.
#[derive(Debug, Default)]
pub(crate) struct Worker {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) city: String,
    pub(crate) state: String,
    pub(crate) hourly_pay_cents: u32,
    /// Separated by `;`, as are the certifications, of which there may be none.
    pub(crate) skills: String,
    pub(crate) certifications: String,
    pub(crate) availability: String,
    pub(crate) summary: String,
}

/// Random numbers of one row.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`, which is small: the bias of a multiplication is nothing.
    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn word<'a>(&mut self, of: &'a [String]) -> &'a str {
        self.one::<String>(of)
    }

    /// `count` different ones, in the order of the list.
    fn some<'a>(&mut self, count: usize, of: &'a [String]) -> Vec<&'a str> {
        let mut missing = count.min(of.len());
        let mut taken = Vec::with_capacity(missing);
        for (i, item) in of.iter().enumerate() {
            if self.below(of.len() - i) < missing {
                taken.push(item.as_str());
                missing -= 1;
            }
        }
        taken
    }
}

/// Makes workers.
pub(crate) struct Workers {
    words: Words,
    seed: u64,
}

impl Workers {
    pub(crate) fn new(words: Words, seed: u64) -> Self {
        Workers { words, seed }
    }

    /// Row `index`, counted from 0, into a record whose memory is used again.
    pub(crate) fn fill(&self, index: u64, worker: &mut Worker) {
        let words = &self.words;
        // Two rounds, or neighbouring seeds would share rows.
        let mut draw = Draw(Draw(self.seed).next() ^ Draw(index ^ 0x5bd1_e995).next());
        let first = draw.word(&words.first_names);
        let last = draw.word(&words.last_names);
        let state = &words.states[words.state_shares[draw.below(words.state_shares.len())]];
        let city = draw.word(&state.cities);
        let role = &words.roles[words.role_shares[draw.below(words.role_shares.len())]];
        // Most have worked for a few years, some for decades.
        let years = 2 + (draw.below(6) + draw.below(6) * draw.below(6)).min(30);

        worker.id = index + 1;
        set(&mut worker.name, &[first, " ", last]);
        set(&mut worker.role, &[&role.title]);
        set(&mut worker.city, &[city]);
        set(&mut worker.state, &[&state.code]);
        worker.hourly_pay_cents = pay_cents(role, years, &mut draw);
        let count = 3 + draw.below(3);
        let skills = draw.some(count, &role.skills);
        join(&mut worker.skills, &skills);
        let count = draw.below(role.certifications.len().min(3) + 1);
        let certifications = draw.some(count, &role.certifications);
        join(&mut worker.certifications, &certifications);
        set(&mut worker.availability, &[draw.word(&words.availability)]);

        let facts = Facts { first, last, city, state: &state.code, role, years, skills: &skills };
        worker.summary.clear();
        facts.sentence(draw.word(&words.openings), words, &mut draw, &mut worker.summary);
        worker.summary.push(' ');
        facts.sentence(draw.word(&words.closings), words, &mut draw, &mut worker.summary);
    }
}

/// From the role's range, by experience, in steps of a quarter.
fn pay_cents(role: &Role, years: usize, draw: &mut Draw) -> u32 {
    let [low, high] = role.pay;
    let quarters = ((high - low) * 4) as usize;
    let by_experience = quarters * years.min(15) / 20;
    let spread = draw.below(quarters / 4 + 1);
    low * 100 + 25 * u32::try_from((by_experience + spread).min(quarters)).unwrap_or(0)
}

fn set(target: &mut String, parts: &[&str]) {
    target.clear();
    parts.iter().for_each(|part| target.push_str(part));
}

fn join(target: &mut String, parts: &[&str]) {
    target.clear();
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            target.push(';');
        }
        target.push_str(part);
    }
}

/// What a summary may mention.
struct Facts<'a> {
    first: &'a str,
    last: &'a str,
    city: &'a str,
    state: &'a str,
    role: &'a Role,
    years: usize,
    skills: &'a [&'a str],
}

impl Facts<'_> {
    /// Appends the template with its braces filled in, beginning with a capital.
    fn sentence(&self, template: &str, words: &Words, draw: &mut Draw, out: &mut String) {
        let start = out.len();
        self.render(template, words, draw, out);
        if let Some(first) = out.get_mut(start..start + 1) {
            first.make_ascii_uppercase();
        }
    }

    fn render(&self, template: &str, words: &Words, draw: &mut Draw, out: &mut String) {
        let mut rest = template;
        while let Some((plain, after)) = rest.split_once('{') {
            out.push_str(plain);
            let (key, after) = after.split_once('}').unwrap_or((after, ""));
            self.fill(key, words, draw, out);
            rest = after;
        }
        out.push_str(rest);
    }

    fn fill(&self, key: &str, words: &Words, draw: &mut Draw, out: &mut String) {
        match key {
            "first" => out.push_str(self.first),
            "last" => out.push_str(self.last),
            "city" => out.push_str(self.city),
            "state" => out.push_str(self.state),
            "a_role" => {
                out.push_str(article(&self.role.title));
                out.push_str(&self.role.title);
            }
            "years" => {
                out.push_str(&self.years.to_string());
                out.push_str(" years");
            }
            "setting" => out.push_str(draw.word(&self.role.settings)),
            "strength" => out.push_str(draw.word(&self.role.strengths)),
            "skill" => out.push_str(self.skills.first().copied().unwrap_or("teamwork")),
            "other" => out.push_str(self.skills.last().copied().unwrap_or("training others")),
            "somebody" => out.push_str(draw.word(&words.somebodies)),
            "want" => {
                out.push_str(self.first);
                out.push(' ');
                self.render(draw.word(&words.wants), words, draw, out);
            }
            "want_short" => self.render(draw.word(&words.wants), words, draw, out),
            _ => out.push_str(key),
        }
    }
}

/// By sound: an IT technician, an HVAC technician, a CDL-A driver.
fn article(noun: &str) -> &'static str {
    match noun.as_bytes() {
        [b'a' | b'e' | b'i' | b'o' | b'A' | b'E' | b'I' | b'O', ..] | [b'H', b'V', ..] => "an ",
        _ => "a ",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn workers(seed: u64) -> Workers {
        Workers::new(Words::load().unwrap(), seed)
    }

    fn row(index: u64, seed: u64) -> String {
        let mut worker = Worker::default();
        workers(seed).fill(index, &mut worker);
        format!("{worker:?}")
    }

    #[test]
    fn a_row_depends_on_seed_and_index_alone() {
        assert_eq!(row(17, 42), row(17, 42));
        assert_ne!(row(17, 42), row(17, 43));
        assert_ne!(row(17, 42).replace("id: 18", ""), row(18, 42).replace("id: 19", ""));
    }

    #[test]
    fn summaries_are_two_sentences_with_real_variety() {
        let (workers, mut worker) = (workers(42), Worker::default());
        let mut seen = HashSet::new();
        for i in 0..5_000 {
            workers.fill(i, &mut worker);
            let summary = &worker.summary;
            assert!(!summary.contains(['{', '}', '"', '\\', '\n']), "{summary}");
            assert!(summary.ends_with('.') && summary.contains(". "), "{summary}");
            assert!(summary.starts_with(|c: char| c.is_ascii_uppercase()), "{summary}");
            seen.insert(summary.replace(worker.name.split(' ').next().unwrap_or_default(), "_"));
        }
        assert!(seen.len() > 4_900, "only {} different ones", seen.len());
    }

    #[test]
    fn pay_stays_within_the_role() {
        let (workers, mut worker) = (workers(7), Worker::default());
        for i in 0..5_000 {
            workers.fill(i, &mut worker);
            let role = workers.words.roles.iter().find(|r| r.title == worker.role).unwrap();
            let [low, high] = role.pay;
            assert!((low * 100..=high * 100).contains(&worker.hourly_pay_cents), "{worker:?}");
            let skills: Vec<&str> = worker.skills.split(';').collect();
            assert!((3..=5).contains(&skills.len()) && skills.iter().all(|s| role.skills.iter().any(|r| r == s)));
        }
    }
}
