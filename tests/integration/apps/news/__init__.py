"""A recommender of news: feeds are fetched on one queue, readers get their recommendations on another. It knows nothing of warren."""
