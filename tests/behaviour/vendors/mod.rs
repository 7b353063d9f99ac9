//! Each vendor's connector against a stand-in that was written from the vendor's documentation.

mod google_ads;
mod linkedin;

mod stand_in_b;
