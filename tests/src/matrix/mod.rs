//! Suite `matrix`: the options that a build must accept, each value of each axis, and each pair of values of two axes.
//!
//! One combination is one life: an operator's installation is made (`site`), a device is switched on (`device`), gets
//! its credential by the transport, delivery and discovery of the combination, logs on, moves to Wi-Fi and back, renews
//! as the policy says, and logs on again (`row`). Portal, AAA, database, message centre, name server, the agent's
//! client, codecs and machine, and `eapol_test` are the real ones; radio, modem and time are not. `axes` says for each
//! axis where it is real, and so does the table (`table`).
//!
//! It runs in namespaces of its own, where nothing but its loopback can be reached.

mod axes;
mod centre;
mod device;
mod login;
mod pairwise;
mod row;
mod site;
pub(crate) mod table;

use std::{
    fs,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    clock,
    report::{Case, Line, Reporter},
    world::smsc,
};
use axes::{AXES, Combination, EXCLUDED};
use pairwise::Point;
use row::Place;
use table::Entry;

/// Combinations at a time: most of each is waiting for a process to start.
const AT_A_TIME: usize = 4;

/// The inside of the suite; true where all cases are good.
pub(crate) fn inside(only: Option<&str>, out: &Path, reporter: &Reporter) -> Result<bool> {
    site::network()?;
    let script = smsc::fetch()?;
    let (logs, work) = (out.join("log"), out.join("work"));
    fs::create_dir_all(&logs)?;
    let chosen = chosen(only)?;
    let place = |number: usize| work.join(format!("{number:02}"));
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some((number, combination)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let dir = place(*number);
                    let began = clock::now();
                    let outcome = one(*number, combination, &Place { dir: &dir, logs: &logs, smsc: &script });
                    let outcome = outcome.map_err(|error| format!("{error:#}"));
                    reporter.send(&Line::Case(case(
                        *number,
                        combination,
                        &outcome,
                        began.elapsed().as_secs_f32(),
                    )));
                    let entry = Entry { number: *number, combination: *combination, outcome };
                    done.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
                }
            });
        }
    });
    let mut entries = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    entries.sort_by_key(|entry| entry.number);
    fs::write(out.join(table::FILE), table::render(&entries)).context("write the table")?;
    let mut good = entries.iter().all(|entry| entry.outcome.is_ok());
    if only.is_none() {
        let dir = place(0);
        let refusals = excluded(&Place { dir: &dir, logs: &logs, smsc: &script });
        for case in coverage(&entries).into_iter().chain(refusals) {
            good &= case.failure.is_none();
            reporter.send(&Line::Case(case));
        }
    }
    reporter.send(&Line::End);
    Ok(good)
}

/// The combinations, numbered from 1: all of them, or those with this word in number or values.
fn chosen(only: Option<&str>) -> Result<Vec<(usize, Combination)>> {
    let sizes: Vec<usize> = AXES.iter().map(|(_, values)| values.len()).collect();
    let all = pairwise::rows(&sizes, &never());
    let all: Option<Vec<Combination>> = all.iter().map(|row| Combination::of(row)).collect();
    let all = all.context("a value that no axis has")?;
    let wanted = |(number, combination): &(usize, Combination)| {
        only.is_none_or(|only| {
            name(*number, combination).contains(only) || combination.words().contains(&only)
        })
    };
    let chosen: Vec<(usize, Combination)> = (1..).zip(all).filter(wanted).collect();
    if chosen.is_empty() {
        bail!("no combination of that number or value");
    }
    Ok(chosen)
}

/// The pairs that the product refuses.
fn never() -> Vec<(Point, Point)> {
    let transport = |value: &str| point("transport", value);
    let pair = |(one, other, _): &(&str, &str, &str)| Some((transport(one)?, point("renewal", other)?));
    EXCLUDED.iter().filter_map(pair).collect()
}

fn point(axis: &str, value: &str) -> Option<Point> {
    let (number, (_, values)) = AXES.iter().enumerate().find(|(_, (name, _))| *name == axis)?;
    Some((number, values.iter().position(|word| *word == value)?))
}

/// Each pair that no combination has: the configuration is refused for it.
fn excluded(place: &Place<'_>) -> Vec<Case> {
    let case = |((one, other), (first, second, words)): ((Point, Point), &(&str, &str, &str))| {
        let began = clock::now();
        let mut row = vec![0; AXES.len()];
        for (axis, value) in [one, other] {
            row.iter_mut().skip(axis).take(1).for_each(|place| *place = value);
        }
        let combination = Combination::of(&row).context("a value that no axis has");
        let outcome = combination.and_then(|combination| row::refused(&combination, place, words));
        let (name, secs) = (format!("refused together: {first}, {second}"), began.elapsed().as_secs_f32());
        match outcome {
            Ok(()) => Case::good(&name, secs),
            Err(error) => Case::bad(&name, secs, format!("{error:#}")),
        }
    };
    never().into_iter().zip(EXCLUDED).map(case).collect()
}

fn one(number: usize, combination: &Combination, place: &Place<'_>) -> Result<String> {
    fs::create_dir_all(place.dir)?;
    row::run(combination, u8::try_from(number)?, place)
}

fn name(number: usize, combination: &Combination) -> String {
    let Combination { transport, delivery, lifetime, logon, .. } = combination;
    let words = [transport.word(), delivery.word(), lifetime.word(), logon.word()];
    format!("{number:02}: {}", words.join(", "))
}

fn case(number: usize, combination: &Combination, outcome: &Result<String, String>, secs: f32) -> Case {
    let name = name(number, combination);
    match outcome {
        Ok(_) => Case::good(&name, secs),
        Err(why) => Case::bad(&name, secs, format!("{}\n{why}", combination.words().join(" · "))),
    }
}

/// Every axis: each of its values went well at least once.
fn coverage(entries: &[Entry]) -> Vec<Case> {
    let case = |(axis, values): (&str, Vec<(&str, usize)>)| {
        let name = format!("axis {axis}: every value");
        let never: Vec<&str> =
            values.iter().filter(|(_, count)| *count == 0).map(|(value, _)| *value).collect();
        match never.as_slice() {
            [] => Case::good(&name, 0.0),
            never => Case::bad(&name, 0.0, format!("no combination went well with {}", never.join(", "))),
        }
    };
    table::counts(entries).into_iter().map(case).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_every_axis_is_in_some_combination_and_every_pair_of_two_axes() {
        let all = chosen(None).unwrap();
        let words: Vec<Vec<&str>> = all.iter().map(|(_, combination)| combination.words()).collect();
        for (axis, (_, values)) in AXES.iter().enumerate() {
            for value in *values {
                assert!(words.iter().any(|row| row[axis] == *value), "{value}");
                for (other, (_, others)) in AXES.iter().enumerate().filter(|(other, _)| *other != axis) {
                    for word in *others {
                        let met = words.iter().any(|row| row[axis] == *value && row[other] == *word);
                        let pair = [point(AXES[axis].0, value).unwrap(), point(AXES[other].0, word).unwrap()];
                        let never = never().iter().any(|(one, two)| pair.contains(one) && pair.contains(two));
                        assert!(met != never, "{value} with {word}");
                    }
                }
            }
        }
        assert!(chosen(Some("WISPr")).unwrap().len() < all.len());
        assert_eq!(chosen(Some("07")).unwrap().len(), 1);
        assert!(chosen(Some("pigeon")).is_err());
    }
}
