-- A cow that stood there and gave nothing was not milked: per-cow figures count visits with milk only.
UPDATE animal_day SET n = animal_day.n - dry.n
FROM (SELECT animal, day, count(*) AS n FROM visit WHERE yield_ml = 0 AND voided = 0 AND animal IS NOT NULL GROUP BY animal, day) AS dry
WHERE animal_day.animal = dry.animal AND animal_day.day = dry.day;
DELETE FROM animal_day WHERE n <= 0;
UPDATE herd_day SET cows = 0 WHERE session = 0;
UPDATE herd_day SET cows = milked.cows
FROM (SELECT day, count(*) AS cows FROM animal_day GROUP BY day) AS milked
WHERE herd_day.day = milked.day AND herd_day.session = 0;
