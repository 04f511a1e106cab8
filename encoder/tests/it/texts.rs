//! Texts to encode, the same in every run.

const WORDS: &str = "forklift operator in Chicago with five years of night shift experience warehouse welder certified TIG MIG \
    nurse registered intensive care available from Monday hourly pay 24.50 dollars driver CDL class A hazmat endorsement \
    electrician journeyman apprentice bilingual Spanish English reliable punctual references on request machinist CNC \
    lathe milling quality inspector assembly line packaging pallets inventory RF scanner safety OSHA 30 crane rigging \
    carpenter framing drywall painter HVAC technician plumbing maintenance janitorial hospitality banquet server cook \
    the a of and to for at is was has will can not very who which than under over between across immunohistochemistry \
    antidisestablishmentarianism o'clock e-mail state-of-the-art co-operate naïve café résumé Zürich São Paulo Łódź \
    Москва склад сварщик Αθήνα εργάτης 東京 倉庫 作業員 焊工 北京 서울 창고 ช่างเชื่อม مستودع سائق מחסן नर्स 🙂 👷🏽‍♀️ 🚜 e\u{301}te\u{301} ﬁ Ⅻ ½ € £ № … — «»";

const STRANGE: [&str; 14] = [
    "",
    " ",
    "\0",
    "a",
    "\t\r\n",
    "?!",
    "\u{200b}\u{feff}",
    "\u{301}\u{302}\u{303}",
    "[CLS] [SEP] [PAD] [MASK] [UNK]",
    "##ing",
    "🏳️‍🌈",
    "\u{fffd}\u{e000}\u{10ffff}",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "İstanbul ǅ ß ﬀ ΣΑΣ",
];

/// Splitmix64 (Steele, Lea, Flood 2014).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }

    /// In -1..1.
    pub(crate) fn float(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// A text of so many words.
pub(crate) fn text(dice: &mut Dice, words: usize) -> String {
    let known: Vec<_> = WORDS.split_whitespace().collect();
    let words: Vec<_> = (0..words).map(|_| known[dice.below(known.len())]).collect();
    words.join(" ")
}

/// Varied texts: strange ones first, then of 1 to about 400 tokens, short ones more often.
pub(crate) fn varied(count: usize) -> Vec<String> {
    let mut dice = Dice(1);
    let strange = STRANGE.into_iter().map(str::to_owned);
    let long = std::iter::repeat_with(|| {
        let scale = [6, 20, 60, 200][dice.below(4)];
        let words = 1 + dice.below(scale);
        text(&mut dice, words)
    });
    strange.chain(long).take(count).collect()
}

/// Texts of about 5 to 40 tokens, as people search and describe.
pub(crate) fn short(count: usize) -> Vec<String> {
    let (mut dice, plain) = (Dice(2), WORDS.split_whitespace().take(80).collect::<Vec<_>>());
    let text = |_| {
        let words = 3 + dice.below(28);
        (0..words).map(|_| plain[dice.below(plain.len())]).collect::<Vec<_>>().join(" ")
    };
    (0..count).map(text).collect()
}
