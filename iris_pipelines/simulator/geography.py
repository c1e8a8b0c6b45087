"""Where tenants and contacts are: countries with their money, names and phone codes, and cities in them."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """A city, as an event's `geo_location` names it."""

    city: str
    region: str
    country: str
    lat: float
    lon: float
    timezone: str

    def geo_location(self) -> str:
        """The JSON of an event's `geo_location`."""
        return json.dumps(vars(self), ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Country:
    """A country: `per_usd` is what a dollar costs there, `tariff` what a text costs against one within the US."""

    code: str
    currency: str
    per_usd: float
    dial: str
    tariff: float
    weight: float
    first_names: tuple[str, ...]
    last_names: tuple[str, ...]


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_FIRST = _names(
    "Olivia Noah Emma Liam Ava Mason Sophia Lucas Isla Jack Grace Leo Chloe Ethan Ruby Owen Maya Henry Zoe Aiden"
)
_LAST = _names(
    "Smith Johnson Brown Taylor Wilson Davies Evans Walker Roberts Green Hall Wood Clarke Moore Baker O'Brien"
)

COUNTRIES = (
    Country("US", "USD", 1.0, "1", 1.0, 0.34, _FIRST, _LAST),
    Country("GB", "GBP", 0.79, "44", 5.1, 0.14, _FIRST, _LAST),
    Country(
        *("DE", "EUR", 0.92, "49", 11.0, 0.12),
        _names("Mia Ben Emma Paul Hannah Jonas Lea Finn Jürgen Anke Björn Katrin"),
        _names("Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schäfer Koch Bauer Groß"),
    ),
    Country(
        *("FR", "EUR", 0.92, "33", 9.0, 0.08),
        _names("Louise Gabriel Jade Hugo Chloé Arthur Manon Léo Zoé René Inès Théo"),
        _names("Martin Bernard Dubois Thomas Robert Richard Petit Durand Leroy Moreau Lefèvre Garçon"),
    ),
    Country(
        *("ES", "EUR", 0.92, "34", 8.5, 0.06),
        _names("Lucía Hugo Sofía Martín María Pablo Paula Álvaro Carmen Iñaki"),
        _names("García Fernández González Rodríguez López Martínez Sánchez Pérez Gómez Núñez"),
    ),
    Country(
        *("BR", "BRL", 5.4, "55", 2.4, 0.07),
        _names("Helena Miguel Alice Arthur Laura João Júlia Davi Antônio Beatriz"),
        _names("Silva Santos Oliveira Souza Lima Pereira Ferreira Costa Araújo Gonçalves"),
    ),
    Country(
        *("IN", "INR", 84.0, "91", 0.9, 0.08),
        _names("Aarav Diya Vivaan Ananya Aditya Saanvi Arjun Priya Rohan Kavya"),
        _names("Sharma Verma Gupta Patel Reddy Nair Iyer Singh Das Khan"),
    ),
    Country(
        *("JP", "JPY", 150.0, "81", 9.5, 0.05),
        _names("Haruto Yui Sota Hina Ren Sakura Yuto Mei Riku Aoi"),
        _names("Sato Suzuki Takahashi Tanaka Watanabe Ito Yamamoto Nakamura Kobayashi Kato"),
    ),
    Country("AU", "AUD", 1.5, "61", 6.5, 0.04, _FIRST, _LAST),
    Country(
        *("PL", "PLN", 3.95, "48", 4.6, 0.02),
        _names("Zofia Jan Hanna Łukasz Julia Jakub Maja Michał Oliwia Paweł"),
        _names("Nowak Wójcik Kowalczyk Wiśniewska Zieliński Szymańska Woźniak Dąbrowska Kozłowski Jankowska"),
    ),
)

PLACES = (
    Place("New York", "NY", "US", 40.7128, -74.0060, "America/New_York"),
    Place("Chicago", "IL", "US", 41.8781, -87.6298, "America/Chicago"),
    Place("Denver", "CO", "US", 39.7392, -104.9903, "America/Denver"),
    Place("Los Angeles", "CA", "US", 34.0522, -118.2437, "America/Los_Angeles"),
    Place("Houston", "TX", "US", 29.7604, -95.3698, "America/Chicago"),
    Place("London", "England", "GB", 51.5074, -0.1278, "Europe/London"),
    Place("Manchester", "England", "GB", 53.4808, -2.2426, "Europe/London"),
    Place("Glasgow", "Scotland", "GB", 55.8642, -4.2518, "Europe/London"),
    Place("Berlin", "Berlin", "DE", 52.5200, 13.4050, "Europe/Berlin"),
    Place("München", "Bayern", "DE", 48.1351, 11.5820, "Europe/Berlin"),
    Place("Hamburg", "Hamburg", "DE", 53.5511, 9.9937, "Europe/Berlin"),
    Place("Paris", "Île-de-France", "FR", 48.8566, 2.3522, "Europe/Paris"),
    Place("Lyon", "Auvergne-Rhône-Alpes", "FR", 45.7640, 4.8357, "Europe/Paris"),
    Place("Madrid", "Madrid", "ES", 40.4168, -3.7038, "Europe/Madrid"),
    Place("Barcelona", "Cataluña", "ES", 41.3874, 2.1686, "Europe/Madrid"),
    Place("São Paulo", "SP", "BR", -23.5505, -46.6333, "America/Sao_Paulo"),
    Place("Rio de Janeiro", "RJ", "BR", -22.9068, -43.1729, "America/Sao_Paulo"),
    Place("Mumbai", "MH", "IN", 19.0760, 72.8777, "Asia/Kolkata"),
    Place("Bengaluru", "KA", "IN", 12.9716, 77.5946, "Asia/Kolkata"),
    Place("Delhi", "DL", "IN", 28.7041, 77.1025, "Asia/Kolkata"),
    Place("Tokyo", "Tokyo", "JP", 35.6762, 139.6503, "Asia/Tokyo"),
    Place("Osaka", "Osaka", "JP", 34.6937, 135.5023, "Asia/Tokyo"),
    Place("Sydney", "NSW", "AU", -33.8688, 151.2093, "Australia/Sydney"),
    Place("Perth", "WA", "AU", -31.9523, 115.8613, "Australia/Perth"),
    Place("Warszawa", "Mazowieckie", "PL", 52.2297, 21.0122, "Europe/Warsaw"),
    Place("Kraków", "Małopolskie", "PL", 50.0647, 19.9450, "Europe/Warsaw"),
)

PLACES_OF = {
    country.code: tuple(index for index, place in enumerate(PLACES) if place.country == country.code)
    for country in COUNTRIES
}
COUNTRY_OF_PLACE = tuple([country.code for country in COUNTRIES].index(place.country) for place in PLACES)
GEO_LOCATIONS = tuple(place.geo_location() for place in PLACES)
