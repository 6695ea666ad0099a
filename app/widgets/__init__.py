"""What the pages are drawn with: our own Streamlit widgets, and how a page reaches the API."""
