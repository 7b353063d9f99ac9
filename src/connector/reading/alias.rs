//! Which lead field a form's field is, by its name: in English, German, French, Spanish, Italian,
//! Dutch and Portuguese, and the `autocomplete` tokens of HTML.

use std::collections::HashMap;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// What a name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    /// The lead field, as in `model::field`.
    pub field: &'static str,
    /// 0 for the lead field's own name; the lower, the surer. Among several fields that mean the
    /// same, the surest wins.
    pub rank: u16,
}

/// What the field named `name` means, if its name says so.
///
/// Case, `-`, `_`, spaces, punctuation and accents make no difference. Objects that only wrap a
/// JSON form (`lead.email`) and words that only address the reader (`your-email`) are looked
/// through.
pub fn meaning(name: &str) -> Option<Meaning> {
    let mut name = name;
    loop {
        if let Some(meaning) = by_folded(&fold(name)) {
            return Some(meaning);
        }
        let (wrapper, inside) = name.split_once('.')?;
        if !WRAPPERS.contains(&fold(wrapper).as_str()) {
            return None;
        }
        name = inside;
    }
}

/// A name without what makes no difference.
pub fn fold(name: &str) -> String {
    if name.is_ascii() {
        let mut folded = name.to_ascii_lowercase();
        folded.retain(|c| c.is_ascii_alphanumeric() || c == '[' || c == ']');
        return folded;
    }
    name.nfd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .filter(|c| c.is_alphanumeric() || *c == '[' || *c == ']')
        .collect::<String>()
        .replace('ß', "ss")
}

fn by_folded(folded: &str) -> Option<Meaning> {
    let known = |name: &str| BY_NAME.get(name).copied();
    known(folded).or_else(|| {
        ADDRESSINGS
            .iter()
            .find_map(|word| known(folded.strip_prefix(word)?))
    })
}

/// Names of JSON objects that hold a form's fields and mean nothing by themselves.
const WRAPPERS: &[&str] = &[
    "address",
    "answers",
    "attributes",
    "body",
    "contact",
    "customer",
    "data",
    "fields",
    "form",
    "formdata",
    "lead",
    "payload",
    "person",
    "profile",
    "properties",
    "submission",
    "user",
    "values",
];

/// Words before a name that mean nothing by themselves. Brackets (`user[email]`) are not among
/// them: they are taken apart only where the configuration asks for it.
const ADDRESSINGS: &[&str] = &[
    "your", "contact", "customer", "lead", "mce", "person", "txt", "user", "visitor",
];

static BY_NAME: LazyLock<HashMap<&'static str, Meaning>> = LazyLock::new(|| {
    let mut by_name = HashMap::new();
    for (field, names) in ALIASES {
        for (rank, name) in names.iter().enumerate() {
            by_name.entry(*name).or_insert(Meaning {
                field,
                rank: rank as u16,
            });
        }
    }
    by_name
});

/// Lead field, and the folded names that mean it, surest first. The first is the field's own.
#[rustfmt::skip]
const ALIASES: &[(&str, &[&str])] = &[
    ("email", &[
        "email", "emailaddress", "mail", "workemail", "businessemail", "companyemail",
        "corporateemail", "professionalemail", "mailaddress", "emailaddr", "emailid",
        "emailadresse", "mailadresse", "geschaftlicheemail",
        "courriel", "adresseemail", "adressemail", "adressecourriel", "emailprofessionnel",
        "emailpro", "correo", "correoelectronico", "emailcorporativo", "indirizzoemail",
        "postaelettronica", "emailaziendale", "emailadres", "mailadres", "zakelijkemail",
        "correioeletronico", "enderecodeemail", "emailprofissional",
    ]),
    ("phone", &[
        "phone", "phonenumber", "telephone", "tel", "telephonenumber", "telnational", "workphone",
        "businessphone", "officephone", "contactnumber", "phoneno",
        "telefon", "telefonnummer", "rufnummer", "telnr", "numerodetelephone", "numerotelephone",
        "telefono", "numerodetelefono", "numerotelefono", "numeroditelefono", "recapitotelefonico",
        "telefoon", "telefoonnummer", "telefone", "numerodetelefone",
    ]),
    ("mobile", &[
        "mobile", "mobilephone", "mobilenumber", "mobilephonenumber", "cell", "cellphone",
        "cellphonenumber", "gsm", "handy", "handynummer", "mobil", "mobilnummer", "mobiltelefon",
        "mobiltelefonnummer", "portable", "telephoneportable", "telephonemobile", "telportable",
        "movil", "telefonomovil", "celular", "cellulare", "telefonocellulare", "mobiel",
        "mobielnummer", "mobieletelefoon", "telemovel", "telefonecelular",
    ]),
    ("fax", &["fax", "faxnumber", "telefax", "faxnummer", "numerodefax"]),
    ("salutation", &[
        "salutation", "honorificprefix", "nameprefix", "anrede", "civilite", "tratamiento",
        "aanhef", "tratamento", "appellativo",
    ]),
    ("first_name", &[
        "firstname", "givenname", "fname", "first", "forename", "namefirst",
        "vorname", "rufname", "prenom", "nombre", "nombredepila", "nome", "voornaam",
        "primeironome", "primernombre",
    ]),
    ("last_name", &[
        "lastname", "familyname", "surname", "lname", "last", "namelast",
        "nachname", "familienname", "zuname", "nom", "nomdefamille", "apellido", "apellidos",
        "primerapellido", "cognome", "achternaam", "sobrenome", "apelido", "ultimonome",
    ]),
    ("full_name", &[
        "fullname", "name", "completename", "namefull", "firstandlastname", "firstnamelastname",
        "vorundnachname", "vornamenachname", "vornameundnachname", "ansprechpartner",
        "nomcomplet", "nometprenom", "prenometnom", "nomprenom", "prenomnom",
        "nombrecompleto", "nombreyapellidos", "nombreyapellido", "nombreapellidos",
        "nomecompleto", "nomeecognome", "nomecognome", "naam", "volledigenaam", "voorenachternaam",
        "nomeesobrenome", "nomeeapelido",
    ]),
    ("company", &[
        "company", "companyname", "organization", "organisation", "org", "organizationname",
        "organisationname", "orgname", "business", "businessname", "employer", "companyororganization",
        "firma", "firmenname", "firmaname", "unternehmen", "unternehmensname",
        "societe", "entreprise", "raisonsociale", "nomdelasociete", "nomdelentreprise",
        "nomentreprise", "nomsociete", "empresa", "nombreempresa", "nombredelaempresa",
        "razonsocial", "compania", "azienda", "nomeazienda", "nomedellazienda", "ragionesociale",
        "societa", "bedrijf", "bedrijfsnaam", "naambedrijf", "organisatie", "nomedaempresa",
        "nomeempresa", "razaosocial",
    ]),
    ("title", &[
        "title", "jobtitle", "organizationtitle", "organisationtitle", "jobrole", "jobposition",
        "position", "role", "job",
        "funktion", "berufsbezeichnung", "poste", "fonction", "intituledeposte", "cargo", "puesto",
        "ruolo", "posizione", "mansione", "functie", "functietitel", "funcao",
    ]),
    ("website", &[
        "website", "websiteurl", "companywebsite", "companyurl", "homepage", "webpage", "web",
        "site", "url", "webseite", "internetseite", "siteweb", "siteinternet", "sitioweb",
        "paginaweb", "sitoweb", "sito", "websitebedrijf",
    ]),
    ("street", &[
        "street", "streetaddress", "addressline1", "address1", "address", "addressstreet",
        "strasse", "strassehausnummer", "strasseundhausnummer", "strassenr", "anschrift",
        "adresse", "adressepostale", "rue", "calle", "direccion", "domicilio", "indirizzo", "via",
        "straat", "straatnaam", "straatenhuisnummer", "adres", "endereco", "rua", "morada",
    ]),
    ("city", &[
        "city", "town", "locality", "addresslevel2", "addresscity",
        "ort", "stadt", "wohnort", "ville", "ciudad", "localidad", "poblacion", "citta", "comune",
        "plaats", "stad", "woonplaats", "cidade",
    ]),
    ("state", &[
        "state", "statecode", "stateprovince", "stateregion", "stateorprovince", "addresslevel1",
        "addressstate", "province", "region", "county",
        "bundesland", "kanton", "canton", "provincia", "estado", "regione", "provincie", "distrito",
    ]),
    ("postal_code", &[
        "postalcode", "zip", "zipcode", "postcode", "zippostalcode", "zipcodepostalcode",
        "addresszip", "addresspostalcode",
        "plz", "postleitzahl", "codepostal", "codigopostal", "cap", "codicepostale", "cep",
    ]),
    ("country", &[
        "country", "countryname", "countrycode", "countryregion", "addresscountry",
        "land", "staat", "pays", "pais", "paese", "nazione",
    ]),
    ("message", &[
        "message", "messagetext", "comment", "comments", "description", "note", "notes", "inquiry",
        "enquiry", "question", "questions", "details", "howcanwehelp", "howcanwehelpyou",
        "nachricht", "ihrenachricht", "mitteilung", "bemerkung", "bemerkungen", "kommentar",
        "anfrage", "anliegen", "votremessage", "commentaire", "commentaires", "demande",
        "votredemande", "mensaje", "comentario", "comentarios", "consulta", "messaggio",
        "richiesta", "commento", "bericht", "opmerking", "opmerkingen", "vraag", "mensagem",
    ]),
    ("industry", &[
        "industry", "sector", "branche", "wirtschaftszweig", "secteur", "secteurdactivite",
        "sectordeactividad", "settore", "setor",
    ]),
    ("rating", &["rating"]),
    ("lead_source", &["leadsource"]),
    ("employees", &[
        "employees", "numberofemployees", "numemployees", "noofemployees", "employeecount",
        "mitarbeiter", "mitarbeiterzahl", "anzahlmitarbeiter", "effectif", "nombredesalaries",
        "nombredemployes", "empleados", "numerodeempleados", "dipendenti", "numerodipendenti",
        "numerodidipendenti", "medewerkers", "aantalmedewerkers", "funcionarios",
        "numerodefuncionarios",
    ]),
    ("revenue", &[
        "revenue", "annualrevenue", "umsatz", "jahresumsatz", "chiffredaffaires", "facturacion",
        "fatturato", "omzet", "faturamento",
    ]),
    ("email_opt_out", &["emailoptout", "hasoptedoutofemail"]),
    ("fax_opt_out", &["faxoptout", "hasoptedoutoffax"]),
    ("do_not_call", &["donotcall"]),
    ("consent", &[
        "consent", "gdpr", "gdprconsent", "optin", "emailoptin", "marketingoptin",
        "marketingconsent", "newsletter", "newsletteroptin", "subscribe", "permission",
        "einwilligung", "consentement", "consentimiento", "consenso", "toestemming",
        "consentimento",
    ]),
    ("language", &[
        "language", "preferredlanguage", "locale", "lang", "sprache", "langue", "idioma", "lingua",
        "taal",
    ]),
    ("campaign", &["campaign", "campaignid", "kampagne"]),
    ("member_status", &["memberstatus", "campaignmemberstatus"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, expect: Option<&str>) {
        assert_eq!(meaning(name).map(|meaning| meaning.field), expect, "{name}");
    }

    #[test]
    fn a_name_means_its_field_whatever_its_spelling_and_language() {
        for (field, names) in [
            (
                "email",
                "email e-mail E-Mail EMAIL mail your-email work_email workEmail mce-EMAIL \
                 E-Mail-Adresse courriel correo_electronico lead.email data.contact.email",
            ),
            (
                "first_name",
                "first_name fname firstname firstName given-name Vorname prénom Prenom nombre \
                 nome voornaam name.first",
            ),
            (
                "last_name",
                "last_name lname surname family-name nachname nom Apellidos cognome achternaam \
                 sobrenome",
            ),
            ("full_name", "name full_name your-name naam nombre_completo"),
            (
                "company",
                "company organization organisation org firma Société azienda bedrijf empresa",
            ),
            (
                "phone",
                "phone tel telephone tel-national Téléphone telefonnummer",
            ),
            ("mobile", "mobile cell Handy portable móvil"),
            ("title", "title organization-title jobTitle funktion"),
            (
                "street",
                "street-address address-line1 Straße address.street",
            ),
            ("city", "address-level2 Ort ville città"),
            ("state", "state_code address-level1 Bundesland"),
            ("postal_code", "zip postal-code PLZ code_postal CAP"),
            (
                "country",
                "country country-name country_code Land pays país",
            ),
            ("consent", "consent gdpr opt_in newsletter"),
            (
                "message",
                "message comments description Nachricht your-message",
            ),
            ("email_opt_out", "emailOptOut HasOptedOutOfEmail"),
            ("campaign", "Campaign_ID"),
            ("member_status", "member_status"),
        ] {
            for name in names.split_whitespace() {
                check(name, Some(field));
            }
        }
        check("E-Mail *", Some("email"));
        check("Job title:", Some("title"));
    }

    #[test]
    fn a_name_that_says_nothing_means_nothing() {
        for name in [
            "",
            "plan",
            "topics",
            "budget",
            "answers.plan",
            "user[email]",
            "topics[]",
            "owner.email",
            "form_title",
            "00N5g000004XyZa",
            "recordType",
            "...",
            "a.b.c",
        ] {
            check(name, None);
        }
    }

    #[test]
    fn every_alias_is_folded_and_has_one_meaning() {
        let mut seen = std::collections::BTreeSet::new();
        for (field, names) in ALIASES {
            assert!(crate::model::field::find(field).is_some(), "{field}");
            assert_eq!(names[0], fold(field), "the first name is the field's own");
            for name in *names {
                assert_eq!(*name, fold(name));
                assert!(seen.insert(*name), "{name} twice");
            }
        }
    }
}
