//! Each vendor's connector against a stand-in that was written from the vendor's documentation.

mod google_ads;
mod google_forms;
mod google_sheets;
mod linkedin;
mod meta;
mod typeform;
mod webhook;

mod stand_in_b;
