"""The documents to search. Load your own here."""

DOCUMENTS = {
    "refunds": "Return a purchase within 30 days and you get a full refund.",
    "delivery": "Delivery takes 3 to 5 working days.",
    "support": "Our support is open on weekdays from 9:00 to 17:00.",
    "payment": "Pay for an order by card or by bank transfer.",
    "invoices": "We send a copy of each invoice to your accounts department.",
}
