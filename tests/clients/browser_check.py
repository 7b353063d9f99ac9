"""Fills in the demo's landing page as a person would: in a real Chromium, by its form.

    leadstream demo
    python3 browser_check.py http://127.0.0.1:8070/ --email jane@example.com

Prints the receipt that the page shows, alone on standard output; exits 1 if it shows none. Needs
Debian's chromium and chromium-driver, and the packages of requirements.txt.
"""

import argparse
import re
import shutil
import sys
import tempfile

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, TimeoutException, WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

# A browser that talks to nobody but the page, and leaves nothing behind.
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

ANSWER_SECONDS = 20

# An event's id: 13 characters of Crockford's base 32.
RECEIPT = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{13}\b")


class Failed(Exception):
    """Something that does not hold."""


def start_browser(profile):
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    for name, path in programs.items():
        if path is None:
            raise Failed(f"{name} is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = programs["chromium"]
    for flag in [*FLAGS, f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    return webdriver.Chrome(options=options, service=Service(programs["chromedriver"]))


def fill_in(form, values):
    for name, value in values.items():
        field = form.find_element(By.NAME, name)
        if field.tag_name == "select":
            Select(field).select_by_value(value)
        else:
            field.clear()
            field.send_keys(value)


def receipt_of(browser):
    """The receipt, once the page shows one."""
    shown = browser.find_elements(By.ID, "receipt")
    found = RECEIPT.search(shown[0].text) if shown else None
    return found and found.group()


def submit(url, values):
    with tempfile.TemporaryDirectory(prefix="leadstream-browser-", ignore_cleanup_errors=True) as profile:
        browser = start_browser(profile)
        try:
            browser.set_page_load_timeout(ANSWER_SECONDS)
            browser.get(url)
            fill_in(browser.find_element(By.ID, "demo-form"), values)
            browser.find_element(By.ID, "send").click()
            # The element goes stale if the browser is on its way to another page.
            wait = WebDriverWait(
                browser, ANSWER_SECONDS, poll_frequency=0.1, ignored_exceptions=[StaleElementReferenceException]
            )
            return wait.until(receipt_of)
        except TimeoutException as error:
            body = browser.find_element(By.TAG_NAME, "body").text
            raise Failed(f"no receipt on {browser.current_url}, which shows:\n{body}") from error
        finally:
            browser.quit()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", help="the landing page")
    parser.add_argument("--email", required=True, help="the e-mail address to fill in")
    parser.add_argument("--country", default="Germany", help="the country, as the form takes it")
    arguments = parser.parse_args()
    values = {
        "first_name": "Zoë",
        "last_name": "Brøwser",
        "email": arguments.email,
        "company": "Chromium & Söhne GmbH",
        "phone": "030 12345678",
        "country": arguments.country,
        "message": "Typed by a real browser: “quotes”, 100 % & more.",
    }
    print(submit(arguments.url, values))


if __name__ == "__main__":
    try:
        main()
    except (Failed, WebDriverException) as failed:
        print(f"FAILED  {failed}", file=sys.stderr)
        sys.exit(1)
