//! Replication of one farm between its sites: exchanges, version vectors and the facts log. It knows no cow; what it
//! moves is described by the schema that `farm` hands it. Not built yet.
