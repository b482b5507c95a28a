//! `pipeline check-data`: everything that must hold for the files in data/, checked and reported.
//!
//! Turns entries, question sets and the coverage list into a [`Report`]. Does NOT mend anything and does NOT know
//! whether what an entry says is true: that is what its sources and reviewers are for.

pub mod entries;
pub mod likeness;
pub mod sets;
pub mod wording;

use super::{
    questions::{self, Kind, Narrow, Question, QuestionsError, Refused, Wording},
    sources::{PRODUCTS, TOLD_APART},
};
use likeness::{Pair, Vocabulary, closest_entries, closest_within};
use sets::Split;
use std::{
    fmt::{self, Display},
    fs,
    io::{self, Write},
    ops::RangeInclusive,
    path::{Path, PathBuf},
};
use tomato_assistant::knowledge::{Entry, Knowledge, KnowledgeError};

/// The curated entries, below the repository's root.
const ENTRIES: &str = "data/tomato_qa_dataset.json";
/// How many narrow and broad questions and other wordings an entry has at least, and how many sentences are said to answer one.
const NARROW: (usize, RangeInclusive<usize>) = (4, 1..=2);
const BROAD: (usize, RangeInclusive<usize>) = (3, 1..=9);
const SENTENCES: (usize, RangeInclusive<usize>) = (0, 1..=1);
const WORDINGS: (usize, RangeInclusive<usize>) = (24, 0..=0);
/// Describes them, with the coverage list.
const README: &str = "data/README.md";

/// Why the data did not pass.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// A file is missing.
    #[error("{}: {source}. Run this in the root of the repository", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The entries do not have the form that the appliance asks for.
    #[error("{ENTRIES}: {0}")]
    Entries(#[from] KnowledgeError),
    /// A question set does not have its form.
    #[error(transparent)]
    Questions(#[from] QuestionsError),
    /// The report could not be written.
    #[error("the report cannot be written: {0}")]
    Write(io::Error),
    /// The report lists what to mend.
    #[error("{0} errors in data/, listed above")]
    Faults(usize),
}

/// Everything in data/ that is checked here.
pub struct Data {
    /// The curated entries.
    pub entries: Vec<Entry>,
    /// The 15 core questions.
    pub validation: Vec<Question>,
    /// The 120 others.
    pub test: Vec<Question>,
    /// These in other words, by kind.
    pub variants: Vec<(&'static str, Question)>,
    /// Questions for tuning.
    pub development: Vec<Question>,
    /// These in other words, by kind.
    pub development_variants: Vec<(&'static str, Question)>,
    /// 60 about details.
    pub narrow_test: Vec<Question>,
    /// Questions about details of the entries, to learn from.
    pub narrow: Vec<Narrow>,
    /// Whole questions about the entries, to learn from.
    pub broad: Vec<Narrow>,
    /// Such questions for tuning, with their answers.
    pub narrow_development: Vec<Question>,
    /// One about each sentence that none of the narrow ones asks about, to be found by.
    pub sentences: Vec<Narrow>,
    /// The entries' questions in other words, to be found by.
    pub wordings: Vec<Narrow>,
    /// Questions to learn refusing from.
    pub refused: Vec<Refused>,
    /// Questions of which only is known whether they are to be refused, for tuning.
    pub refusals: Vec<Question>,
    /// What is told apart from questions about the entries, by file.
    pub told_apart: Vec<(&'static str, Vec<String>)>,
    /// Names that are no slips of the keyboard.
    pub names: Vec<String>,
    /// Text of data/README.md.
    pub readme: String,
}

impl Data {
    /// Reads the files below `root`, the repository's.
    ///
    /// # Errors
    /// [`CheckError`] when one is missing or has not its form.
    pub fn read(root: &Path) -> Result<Self, CheckError> {
        let text = |name: &str| {
            let path = root.join(name);
            fs::read_to_string(&path).map_err(|source| CheckError::Io { path, source })
        };
        let entries = Knowledge::parse(&text(ENTRIES)?)?.entries().to_vec();
        Ok(Self {
            validation: questions::load(&root.join(questions::VALIDATION))?,
            test: questions::load(&root.join(questions::TEST))?,
            variants: questions::variants(root, questions::TEST, questions::TEST_VARIANTS)?,
            development: questions::development(root)?,
            development_variants: questions::variants(root, questions::DEVELOPMENT, questions::DEVELOPMENT_VARIANTS)?,
            narrow_test: questions::load(&root.join(questions::NARROW_TEST))?,
            narrow: questions::load(&root.join(questions::NARROW))?,
            narrow_development: questions::narrow_development(root, &entries)?,
            broad: questions::load(&root.join(questions::BROAD))?,
            sentences: questions::load(&root.join(questions::SENTENCES))?,
            wordings: questions::load::<Wording>(&root.join(questions::WORDINGS))?
                .into_iter()
                .map(Narrow::from)
                .collect(),
            refused: questions::load(&root.join(questions::REFUSED))?,
            refusals: questions::refusals(root)?.concat(),
            told_apart: TOLD_APART
                .into_iter()
                .map(|name| Ok((name, text(name)?.lines().map(String::from).collect())))
                .collect::<Result<_, CheckError>>()?,
            names: text(PRODUCTS)?.lines().map(String::from).collect(),
            readme: text(README)?,
            entries,
        })
    }

    /// The question sets by name, in the order in which they are shown.
    fn sets(&self) -> [(&'static str, &[Question]); 6] {
        [
            ("validation", &self.validation),
            ("test", &self.test),
            ("narrow test", &self.narrow_test),
            ("development", &self.development),
            ("narrow development", &self.narrow_development),
            ("refusals", &self.refusals),
        ]
    }
}

/// What was found. Its text form is what `pipeline check-data` prints.
pub struct Report {
    /// What is there.
    counts: Vec<String>,
    /// The closest pairs of entries, of paraphrases, and of secret and known questions.
    closest: [(&'static str, Vec<Pair>); 3],
    /// Reading ease and id, hardest first.
    hardest: Vec<(f64, String)>,
    /// What a person should look at.
    pub warnings: Vec<String>,
    /// What must be mended.
    pub errors: Vec<String>,
    verbose: bool,
}

/// Checks the files below `root` and writes the report to `out`.
///
/// # Errors
/// [`CheckError::Faults`] when there is anything to mend.
pub fn run(root: &Path, verbose: bool, out: &mut dyn Write) -> Result<(), CheckError> {
    let report = check(&Data::read(root)?, verbose);
    match write!(out, "{report}") {
        // `pipeline check-data | head` is no failure.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(CheckError::Write(error)),
        _ => {}
    }
    if report.errors.is_empty() { Ok(()) } else { Err(CheckError::Faults(report.errors.len())) }
}

/// All checks. `verbose` makes the lists of the report longer; it changes no judgement.
pub fn check(data: &Data, verbose: bool) -> Report {
    let Data { entries, validation, test, variants, development, narrow_test, refused, .. } = data;
    let Data { development_variants, narrow, narrow_development, broad, sentences, wordings, readme, .. } = data;
    let most = if verbose { 40 } else { 10 };
    let told_apart: Vec<String> = data.told_apart.iter().flat_map(|(_, texts)| texts.iter().cloned()).collect();
    let learnt: Vec<String> =
        told_apart.iter().cloned().chain(refused.iter().map(|refused| refused.question.clone())).collect();
    let labelled: [&[Narrow]; 4] = [narrow, broad, sentences, wordings];
    let others = [development.as_slice(), narrow_development].concat();
    let tuning = [&others[..], &data.refusals].concat();
    let split = Split::new(&[validation, test, narrow_test], &tuning, &labelled, &learnt, entries);
    let other_words: Vec<Question> = variants.iter().map(|(_, question)| question.clone()).collect();
    let reworded = Split::new(&[&other_words], &tuning, &labelled, &learnt, entries);
    let tuned = Split::new(&[development], &[], &[sentences, wordings], &told_apart, &[]);
    let refusals = Split::new(&[&data.refusals], &others, &labelled, &learnt, entries);
    let tuned_narrow = Split::new(&[narrow_development], development, &labelled, &learnt, entries);
    let mut pairs = closest_entries(entries);
    let errors = [
        entries::counts(entries),
        entries::lengths(entries),
        entries::paraphrases(entries),
        entries::sources(entries),
        entries::signals(entries),
        entries::remedies(entries),
        entries::related(entries),
        entries::coverage(entries, readme),
        likeness::near_duplicates(&pairs),
        likeness::shared_paraphrases(entries),
        wording::readability(entries),
        wording::units(entries),
        wording::doses(entries),
        sets::counts(validation, test),
        sets::forms(validation, 2..=4, entries),
        sets::forms(test, 2..=4, entries),
        sets::forms(narrow_test, 1..=1, entries),
        sets::forms(development, 1..=12, entries),
        sets::facts(validation, entries),
        sets::facts(test, entries),
        sets::facts(narrow_test, entries),
        sets::forms(narrow_development, 1..=2, entries),
        sets::answered(development, entries),
        sets::answered(narrow_development, entries),
        sets::labelled("narrow", narrow, NARROW, entries),
        sets::labelled("broad", broad, BROAD, entries),
        sets::labelled("sentence", sentences, SENTENCES, entries),
        sets::labelled("reworded", wordings, WORDINGS, entries),
        sets::names(&data.names),
        split.leakage(),
        tuned.leakage(),
        refusals.leakage(),
        tuned_narrow.leakage(),
        [sets::variants(variants, test), sets::variants(development_variants, development)].concat(),
        reworded.leakage(),
    ];
    pairs.truncate(most);
    let consensus = entries::on_consensus(entries).into_iter();
    let mut warnings: Vec<_> = consensus.map(|id| format!("{id}: rests on consensus, no source was opened")).collect();
    warnings.extend(sets::elsewhere(validation, entries));
    warnings.extend(sets::elsewhere(test, entries));
    warnings.extend(sets::unasked(&[narrow, sentences], entries));
    let mut counts = vec![format!("{} entries", entries.len())];
    counts.extend(
        entries::COUNTS.map(|(category, _)| format!("{:>5}  {}", entries::count(entries, category), category.name())),
    );
    let paraphrases: usize = entries.iter().map(|entry| entry.paraphrases.len()).sum();
    counts.push(format!("{paraphrases:>5}  paraphrases of them"));
    counts.push(format!("{:>5}  narrow questions about them", narrow.len()));
    counts.push(format!("{:>5}  broad questions about them", broad.len()));
    counts.push(format!("{:>5}  questions about their other sentences", sentences.len()));
    counts.push(format!("{:>5}  wordings to be found by", wordings.len()));
    counts.push(format!("{:>5}  questions to learn refusing from", refused.len()));
    counts.extend(data.told_apart.iter().map(|(name, texts)| format!("{:>5}  texts in {name}", texts.len())));
    counts.push(format!("{:>5}  test questions in other words", variants.len()));
    counts.push("\nquestions            plain  readings  refuse".into());
    counts.extend(data.sets().map(|(name, set)| {
        let [plain, readings, refuse] = [Kind::Plain, Kind::Readings, Kind::Refuse].map(|kind| sets::count(set, kind));
        format!("{name:<19}{plain:>7}{readings:>10}{refuse:>8}")
    }));
    let hardest = wording::by_reading_ease(entries).into_iter().take(most);
    Report {
        counts,
        closest: [
            ("closest entries, by cosine", pairs),
            (
                "closest wordings of different entries, by shared words",
                closest_within(&Vocabulary::default().known(entries), most),
            ),
            ("validation and test questions closest to what may be learnt, by shared words", split.closest(most)),
        ],
        hardest: hardest.map(|(ease, id)| (ease, id.to_owned())).collect(),
        warnings,
        errors: errors.concat(),
        verbose,
    }
}

impl Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        self.counts.iter().try_for_each(|line| writeln!(out, "{line}"))?;
        for (title, pairs) in &self.closest {
            writeln!(out, "\n{title}")?;
            pairs
                .iter()
                .try_for_each(|pair| writeln!(out, "  {:.2}  {}\n        {}", pair.likeness, pair.one, pair.other))?;
        }
        writeln!(out, "\nhardest answers, by Flesch reading ease")?;
        self.hardest.iter().try_for_each(|(ease, id)| writeln!(out, "  {ease:.0}  {id}"))?;
        writeln!(
            out,
            "\n{} warnings{}",
            self.warnings.len(),
            if self.verbose { "" } else { " (--verbose lists them)" }
        )?;
        if self.verbose {
            self.warnings.iter().try_for_each(|line| writeln!(out, "  {line}"))?;
        }
        writeln!(out, "\n{} errors", self.errors.len())?;
        self.errors.iter().try_for_each(|line| writeln!(out, "  {line}"))
    }
}
