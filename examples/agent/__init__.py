"""The help desk of Fernway, a booking app for small studios: search, routing and invoice reading."""
