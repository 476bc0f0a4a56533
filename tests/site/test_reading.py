"""The site as it is read: by keyboard, on a phone, on paper, without JavaScript, from a folder."""


def test_the_site_opens(page, site):
    page.goto(f"{site}/intro.html")
    assert "Weight Initialization" in page.title()
