//! What an English question asks of the readings: which measures it names, and whether it asks for anything else.
//!
//! By whole words. Does NOT know what is measured.

use crate::climate::{Measure, Quantity};

/// What makes a question one for what to do, before "I" or "we", unless one of these follows.
const ACTING: [&str; 6] = ["should", "can", "could", "must", "may", "do"];
const LOOKING: [&str; 6] = ["see", "have", "know", "read", "check", "look"];
/// Asks for all that there is.
const SENSORS: [&str; 5] = ["sensor", "sensors", "reading", "readings", "measurements"];

const fn read(quantity: Quantity) -> Measure {
    Measure::Read(quantity)
}

/// Words that mean a measure, besides its names, where nothing but the state is asked for; elsewhere they may mean much else.
const MEANT: [(&[Measure], &[&str]); 6] = [
    (
        &[read(Quantity::AirTemperature)],
        &["temp", "temps", "degrees", "chilly", "freezing", "boiling", "frost", "frosty", "cool", "hotter", "colder"],
    ),
    (&[read(Quantity::RelativeHumidity)], &["damp", "muggy", "sticky", "clammy"]),
    (&[read(Quantity::LightPpfd), read(Quantity::Dli)], &["dark", "bright", "sun", "sunlight", "gloomy"]),
    (&[read(Quantity::Ec), read(Quantity::Ph)], &["feed", "solution", "nutrient"]),
    (&[read(Quantity::Ec)], &["salty"]),
    (&[read(Quantity::SubstrateMoisture)], &["slab", "slabs", "mat", "mats", "substrate", "soil"]),
];

/// Words that may stand in a question for the state of the greenhouse without asking for anything else: the greenhouse, good and
/// bad, times, greetings, and the small words between. Not among them: people and how they feel, plants, safety, devices, causes,
/// past and future, numbers, and what somebody may do: "is it fine *to stay* in here?" is no question for readings.
const STATE: &str = "\
    greenhouse greenhouses house glasshouse tunnel polytunnel hothouse compartment bay block site room inside \
    indoors in here there climate atmosphere conditions environment air zone values value numbers number figures \
    parameters parameter data sensor sensors reading readings measurements measured measure measures state status \
    situation overview summary report rundown picture update check checking checkup look looking level levels target \
    targets range ranges limit limits everything anything something all any whole each both every thing one two it \
    its they them that this these those ok okay alright allright right fine good bad normal perfect wrong off high \
    low higher lower too much enough very really out of within under over below above between near close far order \
    track line green red calm quiet stable steady problem problems issue issues alarm alarms is are am being isn \
    aren s re m t ll ve d do does doesn have having get give gimme show tell say read see know lets can could would \
    should how hows what whats which where when who i me my we our you your a an the and or but if so just still yet \
    now rn currently current present actual moment minute today tonight night nights morning evening noon midday \
    afternoon day daytime dawn dusk again already at on by for from up with about around as like then no not nothing \
    yes pls please thanks thank hello hi hey quick quickly short brief briefly first only stand stands standing \
    holding running going doing looks feel feels seem seems temperature temperatures hot cold warm humidity humid rh \
    vpd deficit co2 ppm ppfd par light sum integral daily dli ph acidity ec conductivity salt salts salinity \
    moisture dry wet boss farmer owner asks ask wants want phone holiday shift round coffee before after back \
    minutes five some little bit nervous worried worry happy curious hope sorry mr content general sentence word \
    area root roots rootzone";

/// The measures that `question` names; all of them when it asks about sensors or readings as such.
pub fn measures_named(question: &str) -> Vec<Measure> {
    let question = question.to_lowercase();
    let words = words(&question);
    match words.iter().any(|word| SENSORS.contains(word)) {
        true => Measure::all().collect(),
        false => named_by(&words),
    }
}

/// What a question for how the greenhouse stands asks about: nothing for all that is measured. None where its words say more than
/// that ("is it *safe* to go in?"): readings that are good answer no such question.
pub fn state_asked(question: &str) -> Option<Vec<Measure>> {
    let question = question.to_lowercase();
    let words = words(&question);
    let has = |word: &str| words.contains(&word);
    // "should I heat", "how do we get it lower" ask what to do, "what EC is too high" for a limit.
    let acts =
        |three: &[&str]| ACTING.contains(&three[0]) && ["i", "we"].contains(&three[1]) && !LOOKING.contains(&three[2]);
    if words.windows(3).any(acts) || (["what", "which"].iter().any(|word| has(word)) && has("too")) {
        return None;
    }
    let mut named = named_by(&words);
    for word in &words {
        let meant = MEANT.iter().find(|(_, words)| words.contains(word));
        if meant.is_none() && !STATE.split_whitespace().any(|state| state == *word) {
            return None;
        }
        let measures = meant.map_or(&[][..], |(measures, _)| measures);
        named.extend(measures.iter().filter(|measure| !named.contains(measure)).collect::<Vec<_>>());
    }
    if ["root", "roots", "rootzone"].iter().any(|word| has(word)) {
        // What is warm or cold are the roots; whether they are healthy no probe tells.
        let (air, root) = (read(Quantity::AirTemperature), read(Quantity::RootTemperature));
        if !named.contains(&air) && !named.contains(&root) {
            return None;
        }
        named.retain(|measure| *measure != root && (*measure != air || has("air")));
        named.push(root);
    }
    Some(named)
}

/// Its words, in small letters; what an apostrophe cuts off is one too.
fn words(question: &str) -> Vec<&str> {
    question.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).collect()
}

fn named_by(words: &[&str]) -> Vec<Measure> {
    let names = |any: &[&str]| any.iter().any(|name| words.contains(name));
    // "light sum" asks about the day; "light" alone about the day and the moment.
    let follow = |pair: &[&str; 2]| words.windows(2).any(|two| two == pair);
    let days = names(&["dli"])
        || [["light", "sum"], ["light", "integral"], ["daily", "light"], ["day", "light"]].iter().any(follow);
    let named = |measure: &Measure| match measure {
        Measure::Vpd => names(&["vpd", "deficit"]),
        Measure::Read(Quantity::AirTemperature) => {
            names(&["temperature", "temperatures", "hot", "cold", "heat", "warm"])
        }
        Measure::Read(Quantity::RelativeHumidity) => names(&["humidity", "humid", "rh"]),
        Measure::Read(Quantity::Co2) => names(&["co2", "carbon"]),
        Measure::Read(Quantity::LightPpfd) => names(&["ppfd", "par"]) || (names(&["light"]) && !days),
        Measure::Read(Quantity::RootTemperature) => {
            names(&["root", "roots"]) && names(&["temperature", "cold", "warm"])
        }
        Measure::Read(Quantity::Ph) => names(&["ph", "acid", "acidity"]),
        Measure::Read(Quantity::Ec) => names(&["ec", "conductivity", "salt", "salts", "salinity"]),
        Measure::Read(Quantity::SubstrateMoisture) => names(&["moisture", "dry", "wet"]),
        Measure::Read(Quantity::Dli) => days || names(&["light"]),
    };
    Measure::all().filter(named).collect()
}
