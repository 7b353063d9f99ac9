//! Each vendor as its own documentation describes it, and the daemon before it.

mod activecampaign;
mod calendly;
mod eventbrite;
mod hubspot;
mod mailchimp;
mod stand_in_a;
mod zoom;
