//! Each vendor's connector against a stand-in that was written from the vendor's own documentation, and
//! not from our manifest.

mod activecampaign;
mod calendly;
mod eventbrite;
mod google_ads;
mod google_forms;
mod google_sheets;
mod hubspot;
mod linkedin;
mod mailchimp;
mod meta;
mod typeform;
mod webhook;
mod zoom;

mod stand_in_a;
mod stand_in_b;
