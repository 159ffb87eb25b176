"""Named volumes: folders on disk that the Spaces of one owner share. The Hub's clients call them buckets."""
