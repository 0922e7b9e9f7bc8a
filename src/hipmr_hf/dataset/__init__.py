"""From plain rows to an encrypted dataset, and back for the holder of the key.

In: a `datasets` object (`mapping.encrypt_dataset`), or a source of pictures (`source`). Out: a `datasets`
object, or a folder that `load_dataset` reads and the Hub takes (`parquet.save_encrypted_dataset`,
`run.encrypt_source`). A run is: `job` -> `parts` of the source -> `pieces` -> join -> inspect -> put in
place, over a pool (`local_pool`, `ray_pool`). The way back is `decrypt.decrypt_dataset_folder`.
"""
