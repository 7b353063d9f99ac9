//! Who fills in forms: people of many languages and scripts. All made up; their mailboxes are below
//! domains that nobody can own (RFC 2606).

use super::dice::Dice;

/// Where somebody is at home.
pub struct Locale {
    /// The country as forms send it.
    pub country: &'static str,
    /// The country's calling code.
    calling_code: &'static str,
    /// What is dialled before a number inside the country.
    trunk: &'static str,
    /// How mobile numbers begin, without the trunk prefix.
    mobile: &'static str,
    /// Digits that follow.
    digits: usize,
    /// Given names, as written and in ASCII.
    given: [(&'static str, &'static str); 6],
    /// Family names, likewise.
    family: [(&'static str, &'static str); 6],
    /// Companies, and the first part of their domain.
    companies: [(&'static str, &'static str); 3],
    /// What people write.
    pub messages: [&'static str; 2],
}

/// One person as they would give their data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub first_name: &'static str,
    pub last_name: &'static str,
    /// Lower case.
    pub email: String,
    /// In E.164 form.
    pub phone: String,
    /// The same number as people type it in their country.
    pub phone_as_typed: String,
    pub company: &'static str,
    pub country: &'static str,
    pub message: &'static str,
}

impl Person {
    /// Somebody new; `number` is theirs alone and keeps their mailbox and phone apart from others'.
    pub fn new(number: usize, dice: &mut Dice) -> Self {
        let locale = dice.pick(&LOCALES);
        let (first_name, first_ascii) = *dice.pick(&locale.given);
        let (last_name, last_ascii) = *dice.pick(&locale.family);
        let (company, domain) = *dice.pick(&locale.companies);
        let top = *dice.pick(&["example", "example.com", "example.org", "example.net"]);
        let domain = match top {
            "example" => format!("{domain}.example"),
            below => format!("{domain}.{below}"),
        };
        // A prime that divides no power of ten: every number gives another, and neighbours lie far
        // apart.
        let modulus = 10usize.pow(locale.digits as u32);
        let rest = (number * 7_919 + 1_234) % modulus;
        let rest = format!("{rest:0width$}", width = locale.digits);
        let (head, tail) = rest.split_at(locale.digits / 2);
        let Locale {
            calling_code,
            trunk,
            mobile,
            ..
        } = locale;
        Self {
            first_name,
            last_name,
            email: format!("{first_ascii}.{last_ascii}{number}@{domain}"),
            phone: format!("+{calling_code}{mobile}{rest}"),
            phone_as_typed: if dice.percent(60) {
                format!("{trunk}{mobile} {head} {tail}")
            } else {
                format!("+{calling_code} {mobile} {head} {tail}")
            },
            company,
            country: locale.country,
            message: *dice.pick(&locale.messages),
        }
    }
}

const LOCALES: [Locale; 17] = [
    Locale {
        country: "Germany",
        calling_code: "49",
        trunk: "0",
        mobile: "151",
        digits: 8,
        given: [
            ("Jürgen", "juergen"),
            ("Käthe", "kaethe"),
            ("Anneliese", "anneliese"),
            ("Bernd", "bernd"),
            ("Sören", "soeren"),
            ("Ingrid", "ingrid"),
        ],
        family: [
            ("Müller", "mueller"),
            ("Weiß", "weiss"),
            ("Schäfer", "schaefer"),
            ("von der Heide", "vonderheide"),
            ("Großmann", "grossmann"),
            ("Krüger", "krueger"),
        ],
        companies: [
            ("Schwarzwald Maschinenbau GmbH", "schwarzwald-maschinen"),
            ("Hafenkontor KG", "hafenkontor"),
            ("Blumen & Söhne OHG", "blumen-soehne"),
        ],
        messages: [
            "Wir würden gern eine Vorführung sehen, am liebsten nächste Woche.",
            "Was kostet das für 40 Arbeitsplätze?",
        ],
    },
    Locale {
        country: "France",
        calling_code: "33",
        trunk: "0",
        mobile: "61",
        digits: 7,
        given: [
            ("Chloé", "chloe"),
            ("François", "francois"),
            ("Zoë", "zoe"),
            ("Benoît", "benoit"),
            ("Hélène", "helene"),
            ("Anaïs", "anais"),
        ],
        family: [
            ("Lefèvre", "lefevre"),
            ("de la Cruz", "delacruz"),
            ("Dupré", "dupre"),
            ("L'Hermite", "lhermite"),
            ("Bérenger", "berenger"),
            ("Nguyen-Martin", "nguyen-martin"),
        ],
        companies: [
            ("Ateliers du Midi SARL", "ateliers-midi"),
            ("Crémerie Générale", "cremerie-generale"),
            ("Œuvre & Cie", "oeuvre-cie"),
        ],
        messages: [
            "Bonjour, pourriez-vous me rappeler cet après-midi ?",
            "Nous cherchons une solution pour trois agences.",
        ],
    },
    Locale {
        country: "Spain",
        calling_code: "34",
        trunk: "",
        mobile: "61",
        digits: 7,
        given: [
            ("José", "jose"),
            ("Begoña", "begona"),
            ("Íñigo", "inigo"),
            ("Lucía", "lucia"),
            ("Andrés", "andres"),
            ("Montserrat", "montserrat"),
        ],
        family: [
            ("García Márquez", "garcia"),
            ("Núñez", "nunez"),
            ("Ibáñez", "ibanez"),
            ("de los Ríos", "delosrios"),
            ("Ochoa", "ochoa"),
            ("Peña", "pena"),
        ],
        companies: [
            ("Aceites del Sur, S.L.", "aceites-sur"),
            ("Construcciones Ibáñez", "construcciones"),
            ("Viajes Añoranza", "viajes-anoranza"),
        ],
        messages: [
            "¿Podrían enviarme una oferta para mañana?",
            "Queremos probarlo con un equipo pequeño.",
        ],
    },
    Locale {
        country: "Portugal",
        calling_code: "351",
        trunk: "",
        mobile: "91",
        digits: 7,
        given: [
            ("João", "joao"),
            ("Inês", "ines"),
            ("Conceição", "conceicao"),
            ("Tomás", "tomas"),
            ("Leonor", "leonor"),
            ("Simão", "simao"),
        ],
        family: [
            ("Gonçalves", "goncalves"),
            ("Magalhães", "magalhaes"),
            ("Brandão", "brandao"),
            ("Simões", "simoes"),
            ("Araújo", "araujo"),
            ("Fonseca", "fonseca"),
        ],
        companies: [
            ("Cortiças do Alentejo, Lda.", "corticas-alentejo"),
            ("Pão & Mar", "pao-mar"),
            ("Navegação Atlântica S.A.", "navegacao"),
        ],
        messages: [
            "Gostaria de ver uma demonstração.",
            "Têm preços para associações?",
        ],
    },
    Locale {
        country: "Italy",
        calling_code: "39",
        trunk: "",
        mobile: "347",
        digits: 7,
        given: [
            ("Niccolò", "niccolo"),
            ("Giulia", "giulia"),
            ("Nicolò", "nicolo"),
            ("Federica", "federica"),
            ("Elisabetta", "elisabetta"),
            ("Beatrice", "beatrice"),
        ],
        family: [
            ("D'Angelo", "dangelo"),
            ("De Luca", "deluca"),
            ("Esposito", "esposito"),
            ("Cantù", "cantu"),
            ("Lo Presti", "lopresti"),
            ("Rossi", "rossi"),
        ],
        companies: [
            ("Officine Meccaniche S.p.A.", "officine"),
            ("Caffè Nòbile S.r.l.", "caffe-nobile"),
            ("Vetreria Murano", "vetreria-murano"),
        ],
        messages: [
            "Vorrei un preventivo per trenta utenti.",
            "È possibile fissare una dimostrazione?",
        ],
    },
    Locale {
        country: "Russia",
        calling_code: "7",
        trunk: "8",
        mobile: "916",
        digits: 7,
        given: [
            ("Мария", "mariya"),
            ("Алексей", "aleksey"),
            ("Фёдор", "fyodor"),
            ("Ольга", "olga"),
            ("Юлия", "yuliya"),
            ("Дмитрий", "dmitriy"),
        ],
        family: [
            ("Иванова", "ivanova"),
            ("Кузнецов", "kuznetsov"),
            ("Щукина", "shchukina"),
            ("Соловьёв", "solovyov"),
            ("Лебедева", "lebedeva"),
            ("Жуков", "zhukov"),
        ],
        companies: [
            ("Волга Сервис", "volga-servis"),
            ("Северный лес", "severny-les"),
            ("Медиа-Группа «Заря»", "zarya"),
        ],
        messages: [
            "Пришлите, пожалуйста, прайс-лист.",
            "Интересует демонстрация для отдела продаж.",
        ],
    },
    Locale {
        country: "Poland",
        calling_code: "48",
        trunk: "",
        mobile: "60",
        digits: 7,
        given: [
            ("Łukasz", "lukasz"),
            ("Małgorzata", "malgorzata"),
            ("Zbigniew", "zbigniew"),
            ("Agnieszka", "agnieszka"),
            ("Stanisław", "stanislaw"),
            ("Żaneta", "zaneta"),
        ],
        family: [
            ("Wiśniewski", "wisniewski"),
            ("Dąbrowska", "dabrowska"),
            ("Łęcki", "lecki"),
            ("Zając", "zajac"),
            ("Kowalczyk", "kowalczyk"),
            ("Gołębiewska", "golebiewska"),
        ],
        companies: [
            ("Huta Łódź Sp. z o.o.", "huta-lodz"),
            ("Piekarnia Żuraw", "piekarnia-zuraw"),
            ("Bałtyk Logistyka S.A.", "baltyk"),
        ],
        messages: [
            "Proszę o kontakt w sprawie wdrożenia.",
            "Czy macie Państwo polską wersję?",
        ],
    },
    Locale {
        country: "Turkey",
        calling_code: "90",
        trunk: "0",
        mobile: "532",
        digits: 7,
        given: [
            ("Ayşe", "ayse"),
            ("İbrahim", "ibrahim"),
            ("Çağla", "cagla"),
            ("Uğur", "ugur"),
            ("Gülşen", "gulsen"),
            ("Mehmet", "mehmet"),
        ],
        family: [
            ("Yılmaz", "yilmaz"),
            ("Öztürk", "ozturk"),
            ("Şahin", "sahin"),
            ("Çelik", "celik"),
            ("Doğan", "dogan"),
            ("Işık", "isik"),
        ],
        companies: [
            ("Boğaziçi Tekstil A.Ş.", "bogazici"),
            ("Ege Zeytin", "ege-zeytin"),
            ("Kapadokya Turizm", "kapadokya"),
        ],
        messages: [
            "Fiyat listesi alabilir miyim?",
            "Ekibimiz için bir gösterim istiyoruz.",
        ],
    },
    Locale {
        country: "Greece",
        calling_code: "30",
        trunk: "",
        mobile: "694",
        digits: 7,
        given: [
            ("Γιώργος", "giorgos"),
            ("Ελένη", "eleni"),
            ("Νίκος", "nikos"),
            ("Μαρία", "maria"),
            ("Ιωάννα", "ioanna"),
            ("Δημήτρης", "dimitris"),
        ],
        family: [
            ("Παπαδόπουλος", "papadopoulos"),
            ("Νικολάου", "nikolaou"),
            ("Αγγελίδης", "angelidis"),
            ("Οικονόμου", "oikonomou"),
            ("Βασιλείου", "vasileiou"),
            ("Καραγιάννη", "karagianni"),
        ],
        companies: [
            ("Αιγαίο Ναυτιλιακή", "aigaio"),
            ("Ελαιώνες Κρήτης", "elaiones"),
            ("Δελφοί Συμβουλευτική", "delfoi"),
        ],
        messages: [
            "Θα ήθελα περισσότερες πληροφορίες.",
            "Πόσο κοστίζει για δέκα χρήστες;",
        ],
    },
    Locale {
        country: "Ukraine",
        calling_code: "380",
        trunk: "0",
        mobile: "67",
        digits: 7,
        given: [
            ("Олександр", "oleksandr"),
            ("Наталія", "nataliia"),
            ("Тарас", "taras"),
            ("Ганна", "hanna"),
            ("Ярослав", "yaroslav"),
            ("Їва", "yiva"),
        ],
        family: [
            ("Шевченко", "shevchenko"),
            ("Коваль", "koval"),
            ("Гнатюк", "hnatiuk"),
            ("Лисенко", "lysenko"),
            ("Щербак", "shcherbak"),
            ("Бойко", "boiko"),
        ],
        companies: [
            ("Дніпро Аграрій", "dnipro-agro"),
            ("Карпати Дім", "karpaty-dim"),
            ("Львівська друкарня", "lviv-druk"),
        ],
        messages: [
            "Добрий день! Зателефонуйте, будь ласка.",
            "Цікавить тариф для невеликої команди.",
        ],
    },
    Locale {
        country: "Japan",
        calling_code: "81",
        trunk: "0",
        mobile: "90",
        digits: 8,
        given: [
            ("美咲", "misaki"),
            ("太郎", "taro"),
            ("花子", "hanako"),
            ("健太", "kenta"),
            ("さくら", "sakura"),
            ("翔", "sho"),
        ],
        family: [
            ("佐藤", "sato"),
            ("鈴木", "suzuki"),
            ("高橋", "takahashi"),
            ("渡辺", "watanabe"),
            ("山本", "yamamoto"),
            ("小林", "kobayashi"),
        ],
        companies: [
            ("株式会社青空", "aozora"),
            ("富士製作所", "fuji-seisaku"),
            ("みなと商事", "minato-shoji"),
        ],
        messages: [
            "デモをお願いできますでしょうか。",
            "料金について教えてください。",
        ],
    },
    Locale {
        country: "China",
        calling_code: "86",
        trunk: "",
        mobile: "138",
        digits: 8,
        given: [
            ("伟", "wei"),
            ("秀英", "xiuying"),
            ("芳", "fang"),
            ("建国", "jianguo"),
            ("丽娜", "lina"),
            ("子轩", "zixuan"),
        ],
        family: [
            ("王", "wang"),
            ("李", "li"),
            ("张", "zhang"),
            ("欧阳", "ouyang"),
            ("陈", "chen"),
            ("刘", "liu"),
        ],
        companies: [
            ("长江机械有限公司", "changjiang"),
            ("南方茶业", "nanfang-tea"),
            ("星河科技", "xinghe"),
        ],
        messages: ["请发一份报价单。", "我们想安排一次演示。"],
    },
    Locale {
        country: "South Korea",
        calling_code: "82",
        trunk: "0",
        mobile: "10",
        digits: 8,
        given: [
            ("지훈", "jihoon"),
            ("서연", "seoyeon"),
            ("민준", "minjun"),
            ("하은", "haeun"),
            ("도윤", "doyun"),
            ("수빈", "subin"),
        ],
        family: [
            ("김", "kim"),
            ("이", "lee"),
            ("박", "park"),
            ("최", "choi"),
            ("남궁", "namgung"),
            ("정", "jung"),
        ],
        companies: [
            ("한강물산", "hangang"),
            ("서울소프트", "seoul-soft"),
            ("제주식품", "jeju-foods"),
        ],
        messages: ["견적을 받고 싶습니다.", "다음 주에 시연이 가능할까요?"],
    },
    Locale {
        country: "Israel",
        calling_code: "972",
        trunk: "0",
        mobile: "52",
        digits: 7,
        given: [
            ("נועה", "noa"),
            ("יוסף", "yosef"),
            ("תמר", "tamar"),
            ("דוד", "david"),
            ("שירה", "shira"),
            ("איתי", "itai"),
        ],
        family: [
            ("כהן", "cohen"),
            ("לוי", "levi"),
            ("מזרחי", "mizrahi"),
            ("פרץ", "peretz"),
            ("ביטון", "biton"),
            ("פרידמן", "friedman"),
        ],
        companies: [
            ("גליל טכנולוגיות", "galil-tech"),
            ("כרמל ייעוץ", "carmel"),
            ("נגב אנרגיה", "negev-energy"),
        ],
        messages: ["אשמח לקבל פרטים נוספים.", "האם אפשר לתאם הדגמה?"],
    },
    Locale {
        country: "Egypt",
        calling_code: "20",
        trunk: "0",
        mobile: "10",
        digits: 8,
        given: [
            ("فاطمة", "fatma"),
            ("أحمد", "ahmed"),
            ("يوسف", "youssef"),
            ("مريم", "mariam"),
            ("خالد", "khaled"),
            ("ليلى", "laila"),
        ],
        family: [
            ("المصري", "elmasry"),
            ("حسن", "hassan"),
            ("السيد", "elsayed"),
            ("منصور", "mansour"),
            ("عبد الرحمن", "abdelrahman"),
            ("نجيب", "naguib"),
        ],
        companies: [
            ("شركة النيل للتجارة", "nile-trade"),
            ("مطابع القاهرة", "cairo-press"),
            ("الدلتا للأغذية", "delta-foods"),
        ],
        messages: ["أرجو التواصل معي بخصوص الأسعار.", "نود تجربة النظام."],
    },
    Locale {
        country: "India",
        calling_code: "91",
        trunk: "0",
        mobile: "98",
        digits: 8,
        given: [
            ("प्रिया", "priya"),
            ("Arjun", "arjun"),
            ("अमित", "amit"),
            ("Lakshmi", "lakshmi"),
            ("Sanjay", "sanjay"),
            ("Meera", "meera"),
        ],
        family: [
            ("शर्मा", "sharma"),
            ("Iyer", "iyer"),
            ("पटेल", "patel"),
            ("Krishnamurthy", "krishnamurthy"),
            ("Singh", "singh"),
            ("Banerjee", "banerjee"),
        ],
        companies: [
            ("Himalaya Exports Pvt. Ltd.", "himalaya-exports"),
            ("गंगा वस्त्र", "ganga-vastra"),
            ("Coromandel Software", "coromandel"),
        ],
        messages: ["Please share pricing for 250 seats.", "कृपया मुझे कॉल करें।"],
    },
    Locale {
        country: "United Kingdom",
        calling_code: "44",
        trunk: "0",
        mobile: "7400",
        digits: 6,
        given: [
            ("Siobhán", "siobhan"),
            ("Alistair", "alistair"),
            ("Oluwaseun", "oluwaseun"),
            ("Bethan", "bethan"),
            ("Priti", "priti"),
            ("George", "george"),
        ],
        family: [
            ("O'Connor", "oconnor"),
            ("MacLeod", "macleod"),
            ("Okafor", "okafor"),
            ("Featherstone", "featherstone"),
            ("Smith", "smith"),
            ("ap Rhys", "aprhys"),
        ],
        companies: [
            ("Pennine Brewing Ltd", "pennine-brewing"),
            ("Caledonian Wool plc", "caledonian-wool"),
            ("Thames Robotics", "thames-robotics"),
        ],
        messages: [
            "Could someone ring me about the Pro plan?",
            "We're comparing three vendors; a demo would help.",
        ],
    },
];

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::model::KeyKind;
    use crate::process::normalise::match_keys;

    #[test]
    fn everybody_can_be_recognised_and_nobody_is_anybody_else() {
        let mut dice = Dice::new(1);
        let mut keys = BTreeSet::new();
        for number in 0..2_000 {
            let person = Person::new(number, &mut dice);
            let fields: BTreeMap<String, String> = [
                ("email", person.email.as_str()),
                ("phone", &person.phone),
                ("last_name", person.last_name),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
            let found = match_keys(&fields, &[]);
            let kinds: Vec<KeyKind> = found.iter().map(|key| key.kind).collect();
            assert_eq!(
                kinds,
                [KeyKind::Email, KeyKind::PhoneAndLastName],
                "{person:?}"
            );
            for key in found {
                assert!(keys.insert(key.clone()), "{key:?} is not theirs alone");
            }
        }
    }
}
